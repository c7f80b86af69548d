#pragma once

#include "fixup/device_names.hpp"
#include "fixup/facts.hpp"
#include "fixup/text_edit.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Where a system's files name its disks: what the fixes for storage share.
namespace coldspare::fixup {

/// A line of a table with columns, as fstab and crypttab are.
struct TableLine {
    unsigned number = 0;
    std::vector<Piece> fields; ///< at least one
};

/// The lines that are neither empty nor a comment.
[[nodiscard]] std::vector<TableLine> table_lines(std::string_view text);

/// Whether a column of options holds this one (or, "x=", one that begins so).
[[nodiscard]] bool has_option(std::string_view options, std::string_view option);

/// A line of fstab that is mounted, or swapped to, when the system starts.
[[nodiscard]] bool is_used_at_boot(const TableLine& fstab_line);

/// The comment in which fstab keeps the name that the root file system had: "... / was ".
inline constexpr std::string_view root_was = "# coldspare fixup: / was ";

/// The device names that the system starts with: of fstab, crypttab and the kernel's arguments.
[[nodiscard]] std::vector<std::string> boot_device_names(const FileTree& files);

/// Who the names in these files mean. Files that are not in the tree say nothing.
[[nodiscard]] DeviceNames device_names(const GuestSystem& system, const FileTree& files,
                                       const std::optional<Inventory>& inventory);

/// Who the old machine's names mean; from the files as they were, so that every fix sees the same.
[[nodiscard]] DeviceNames old_device_names(const Facts& facts);

/// The names that multipath's configuration gives to disks.
[[nodiscard]] std::set<std::string> multipath_aliases(const FileTree& files);

/// Whether the system starts with a name (/dev/sda1) that a VM has only with a SCSI disk.
[[nodiscard]] bool insists_on_sd(const GuestSystem& system, const FileTree& files);

} // namespace coldspare::fixup
