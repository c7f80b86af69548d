#pragma once

#include "fixup/vm_requirements.hpp"
#include "standby/domain_xml.hpp"
#include "standby/standby_file.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The copy that a standby starts from: what `receive` and `fixup` have left.
namespace coldspare::standby {

struct StandbyCopy {
    /// In the order of the standby's file. An image's is its overlay under the name that stays
    /// while generations come and go (docs/FORMATS.md 7).
    std::vector<DomainInput::Disk> disks;
    std::vector<std::string> clones; ///< what lies below them: "mail1.img.gen3", "/dev/sdb"
    fixup::VmRequirements needs;
    std::string system;      ///< "debian 12.5, x86_64"
    std::string accelerator; ///< "kvm" or "tcg": what fixup ran on, which tried it
    std::string fixed;       ///< RFC 3339
    std::string created;     ///< of the first clone, RFC 3339; empty: it has no readable manifest
};

/// Looks at the copies of a standby's disks and at the report of their fixup. Throws Error if there
/// is none, or it was made for other disks or for an earlier content; the hint says what to run.
[[nodiscard]] StandbyCopy read_copy(const StandbyFile& standby,
                                    const std::filesystem::path& state_directory);

/// Where the standby keeps the variables of its UEFI: beside the copy of its first disk, or in the
/// state directory if that is a device.
[[nodiscard]] std::filesystem::path
firmware_variables_of(const StandbyFile& standby, const std::filesystem::path& state_directory);

/// How long ago that was; nothing if it is no time ("2026-11-22T03:05:14Z").
[[nodiscard]] std::optional<std::chrono::seconds> age_of(std::string_view created,
                                                         std::chrono::system_clock::time_point now);

} // namespace coldspare::standby
