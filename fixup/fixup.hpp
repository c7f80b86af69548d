#pragma once

#include "fixup/accelerator.hpp"
#include "fixup/repair.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// What to fix, and for which virtual machine.
struct FixupRequest {
    std::filesystem::path image;   ///< the clone, raw
    std::filesystem::path overlay; ///< empty: "IMAGE.fixup.qcow2"
    Wishes wishes;
    Depth depth = Depth::mend;       ///< Depth::look: say what would be done and write nothing
    std::string base_root;           ///< the clone's root digest as its manifest has it, or empty
    std::string program;             ///< "coldspare 0.1.0", for the report
    std::filesystem::path appliance; ///< the coldspare-appliance program
    std::optional<Accelerator> accelerator; ///< nothing: a probe finds out
    std::chrono::seconds timeout{1800};     ///< for each start of the appliance
};

/// What came of it.
struct FixupResult {
    bool changed = false; ///< whether an overlay was made
    std::filesystem::path overlay;
    std::string base_root;
    Accelerator accelerator = Accelerator::tcg;
    RepairReport report;
};

/// Makes the copy bootable as a virtual machine, in a qcow2 overlay over the untouched clone, and
/// writes the report beside it (fixup/binding.hpp). An overlay that is bound to this very clone and
/// needs nothing stays as it is, byte for byte. On any error, and when `stop` asks, the new overlay
/// is removed and an older one stays. Blocks, for minutes without KVM; `note` is called from this
/// thread with what happens meanwhile.
///
/// Throws Error: refused (4) if the image is in use or not raw, or if an overlay in the way was
/// written to by a virtual machine; `locked` (5); failed (1) if something essential cannot be
/// fixed.
[[nodiscard]] FixupResult run_fixup(const FixupRequest& request, const NoteCallback& note,
                                    std::stop_token stop);

/// Where the overlay of `image` stands if nobody says otherwise.
[[nodiscard]] std::filesystem::path default_overlay(const std::filesystem::path& image);

} // namespace coldspare::fixup
