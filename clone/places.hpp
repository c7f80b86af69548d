#pragma once

#include "clone/range.hpp"

#include <chrono>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace coldspare::clone {

/// What lies in a range of a disk, for people. What is not known is empty.
struct Place {
    Range range;
    unsigned partition = 0; ///< 0: in none of them, or the disk has none
    std::string type;       ///< "ext4", "swap", "LVM2_member"
    std::string label;      ///< of the file system
    /// Who has the bytes: "/etc/hosts" (from the top of its file system), "free space", "the
    /// journal", "metadata", "outside the partitions"; some, and "others" if there are more.
    std::vector<std::string> holders;

    /// "4096 bytes at 1052672 (partition 1, ext4 'root': /etc/hosts)".
    [[nodiscard]] std::string text() const;
};

/// The places of `ranges` (sorted, apart from each other) on a disk or image, in their order; a
/// range that lies in several partitions becomes several places. Files are named on ext2, ext3 and
/// ext4, for which inodes and directories are read: for up to `budget`, after which those places
/// stay without holders. Never writes or mounts. Never throws because of what the disk holds, or
/// because it cannot be read; throws interrupted() soon after a stop.
///
/// Ask it of the copy rather than of the failing source: there every read of what is bad is slow,
/// and a stop or the end of the budget waits for it. What is zero in the copy because it was bad
/// (inodes, directories) has no names to give.
[[nodiscard]] std::vector<Place> places_of(const std::filesystem::path& path,
                                           const std::vector<Range>& ranges,
                                           std::chrono::seconds budget, std::stop_token stop);

} // namespace coldspare::clone
