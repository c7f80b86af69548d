#pragma once

#include "clone/range.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

/// What single file systems say of their free bytes. Each function believes only what is clean and
/// consistent: the slightest doubt is an Error whose message is the reason, as the end of a
/// sentence
/// ("its log is dirty"), and nothing is free. All of them throw interrupted() where `stop` is seen.
namespace coldspare::clone {

/// Fills `into` with the bytes at `offset`, counted from the start of the file system. Throws Error
/// if they are not all there.
using ReadBytes = std::function<void(std::uint64_t offset, std::span<std::byte> into)>;

/// ext2, ext3 or ext4 in the bytes `where` of a device or image, by libext2fs. The ranges are of
/// the disk, sorted and joined.
[[nodiscard]] std::vector<Range> free_space_of_ext(const std::filesystem::path& path, Range where,
                                                   const std::stop_token& stop);

/// XFS on `size` bytes (XFS Algorithms & Data Structures, 3rd edition; version 4 and 5). The ranges
/// count from the start of the file system, sorted and joined.
[[nodiscard]] std::vector<Range> free_space_of_xfs(const ReadBytes& read, std::uint64_t size,
                                                   const std::stop_token& stop);

/// A swap area on `size` bytes: everything past its first MiB, unless a hibernated system lies in
/// it. The ranges count from the start of the area.
[[nodiscard]] std::vector<Range> free_space_of_swap(const ReadBytes& read, std::uint64_t size);

/// Puts `range` at the end of sorted `ranges`, joined to the last one if they touch.
void append_joined(std::vector<Range>& ranges, Range range);

} // namespace coldspare::clone
