#pragma once

#include <filesystem>
#include <stop_token>

namespace coldspare::clone {

/// Makes `to`, which must not exist, share the blocks of `from` (FICLONE, ioctl_ficlone(2)).
/// Returns false, and leaves nothing, where the file system cannot. Durable. Throws Error.
[[nodiscard]] bool reflink_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Copies `from` to `to`, which must not exist; holes stay holes. Durable. Blocks for as long as
/// the disk takes; leaves nothing after an Error (among them interrupted()).
void copy_sparse_file(const std::filesystem::path& from, const std::filesystem::path& to,
                      const std::stop_token& stop);

} // namespace coldspare::clone
