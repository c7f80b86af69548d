#pragma once

#include "clone/range.hpp"

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace coldspare::clone {

/// What certainly holds nothing on a disk. A byte is in `ranges` only if the one file system that
/// it belongs to (ext2, ext3, ext4, XFS, or a swap area) is clean, wholly understood, in use by
/// nobody and says so. All other bytes are to be copied: partition tables, boot gaps, what other
/// file systems hold, and every part about which there is a doubt.
struct FreeSpace {
    std::vector<Range> ranges; ///< sorted, disjoint, joined
    /// One sentence for each part that is copied whole, and why: "partition 2 (xfs) is copied
    /// whole: its log is dirty", "the disk (btrfs) is copied whole: ...".
    std::vector<std::string> notes;
};

/// Looks at a block device or an image file. Reads only: nothing is mounted, replayed or written.
/// The answer is of this moment: whoever uses it must keep others from mounting the disk until the
/// copy is done. Blocks as long as the disk takes to read its metadata: all bitmaps of ext, the
/// whole log of XFS (at most 2 GiB) with its trees of free space. Throws Error if the disk cannot
/// be opened, and interrupted(); what cannot be read inside of it is a note.
[[nodiscard]] FreeSpace find_free_space(const std::filesystem::path& path, std::stop_token stop);

} // namespace coldspare::clone
