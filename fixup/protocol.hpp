#pragma once

#include "base/error.hpp"
#include "base/inventory.hpp"
#include "fixup/accelerator.hpp"
#include "fixup/repair.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the program and its helper coldspare-appliance say to each other: one JSON request on
// standard input, JSON lines on standard output. Both sides read with limits; what does not fit is
// an Error.

namespace coldspare::fixup {

enum class DiskFormat { raw, qcow2 };

/// What the helper is asked to do.
struct ApplianceRequest {
    std::vector<std::filesystem::path> disks; ///< in the order of the server; all of one format
    DiskFormat format = DiskFormat::qcow2;
    Depth depth = Depth::look;
    Accelerator accelerator = Accelerator::tcg;
    std::string root; ///< the system to fix where there are several ("/dev/sda2"), or empty
    std::vector<std::filesystem::path> keys; ///< files with a passphrase for LUKS each
    Wishes wishes;
    std::optional<Inventory> inventory; ///< of the server while it ran
    friend bool operator==(const ApplianceRequest&, const ApplianceRequest&) = default;
};

/// A line of the helper: a note, the report, or why it stopped.
using ApplianceMessage = std::variant<std::string, RepairReport, Error>;

[[nodiscard]] std::string encode_request(const ApplianceRequest& request);
[[nodiscard]] ApplianceRequest decode_request(std::string_view text);

/// One line each, without the newline.
[[nodiscard]] std::string encode_note(std::string_view text);
[[nodiscard]] std::string encode_report(const RepairReport& report);
[[nodiscard]] std::string encode_error(const Error& error);
/// Throws Error for a line that the helper never writes. What it says comes from the guest: every
/// byte that a terminal would act on is '?' here.
[[nodiscard]] ApplianceMessage decode_message(std::string_view line);

} // namespace coldspare::fixup
