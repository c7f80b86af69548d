#pragma once

#include "clone/range.hpp"

#include <filesystem>
#include <stop_token>
#include <string>

namespace coldspare::clone {

/// Whether grow_file_system() would grow what is in this partition. Never of an NBD export.
[[nodiscard]] bool can_be_grown(const std::filesystem::path& disk, Range range);

/// Grows the file system of a partition that is larger than it, which nobody may have mounted:
/// ext2, ext3 and ext4 (checked with e2fsck first) with resize2fs, XFS with xfs_growfs, for which
/// it is mounted in a mount name space of its own. `range` is where the partition lies on the disk
/// or image. Returns a sentence: what has grown, or why there is nothing to grow (another file
/// system, or none). Needs root and a loop device. Blocks for as long as the tools take. Throws
/// Error if one of them fails.
[[nodiscard]] std::string grow_file_system(const std::filesystem::path& disk, unsigned number,
                                           Range range, std::stop_token stop);

} // namespace coldspare::clone
