#pragma once

#include "clone/uses.hpp"

#include <filesystem>
#include <string>
#include <string_view>

/// What the kernel has made of a device: LVM, multipath, md, ...
namespace coldspare::clone {

/// The name that people know of a device, by its directory below /sys: of a map, or the kernel's.
[[nodiscard]] std::string name_at(const std::filesystem::path& directory);

/// The use of a device by what holds it; `device` and `holder` are their directories.
[[nodiscard]] Use held_by(const std::filesystem::path& device, const std::filesystem::path& holder);

/// The volume group in a device-mapper name, where a hyphen of its own is doubled: "my--vg-root" is
/// "my-vg" (libdevmapper, dm_split_lvm_name).
[[nodiscard]] std::string volume_group_of(std::string_view map_name);

} // namespace coldspare::clone
