#pragma once

#include "clone/used_space.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// The superblock of XFS, and how its metadata is written down: big-endian but for the checksums.
/// Names of fields are those of "XFS Algorithms & Data Structures", 3rd edition.
namespace coldspare::clone::xfs {

using Bytes = std::vector<std::byte>;
using Uuid = std::array<std::byte, 16>;

/// The unit of the log, and of addresses in metadata, whatever the block size is.
inline constexpr std::uint64_t basic_block = 512;

/// Numbers at `at`, which the caller knows to be inside.
[[nodiscard]] std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at);
[[nodiscard]] std::uint16_t be16(std::span<const std::byte> bytes, std::size_t at);
[[nodiscard]] std::uint32_t be32(std::span<const std::byte> bytes, std::size_t at);
[[nodiscard]] std::uint64_t be64(std::span<const std::byte> bytes, std::size_t at);
[[nodiscard]] Uuid uuid_at(std::span<const std::byte> bytes, std::size_t at);

/// Whether the four bytes at `at` (little-endian) are the CRC-32C (Castagnoli) of all of `bytes`,
/// with those four as zeros.
[[nodiscard]] bool crc_fits(std::span<const std::byte> bytes, std::size_t at);

/// What is needed of it; sizes and places are consistent with each other.
struct Super {
    std::uint64_t block_size = 0;
    std::uint64_t sector = 0;
    std::uint64_t blocks = 0;
    std::uint32_t group_blocks = 0; ///< of all groups but the last
    std::uint32_t groups = 0;
    std::uint32_t log_group = 0; ///< the group that has the log
    std::uint32_t log_block = 0; ///< where it starts there
    std::uint32_t log_blocks = 0;
    std::uint64_t free_blocks = 0;
    bool v5 = false;
    bool log_v2 = false;
    Uuid uuid{};
    Uuid meta_uuid{}; ///< what metadata carries

    [[nodiscard]] std::uint32_t blocks_of(std::uint32_t group) const {
        return group + 1 < groups ? group_blocks
                                  : static_cast<std::uint32_t>(
                                        blocks - std::uint64_t{group_blocks} * (groups - 1));
    }
    [[nodiscard]] std::uint64_t offset_of(std::uint32_t group, std::uint64_t block) const {
        return (std::uint64_t{group} * group_blocks + block) * block_size;
    }
};

/// The superblock, if it is of a finished file system that lies within `size` bytes and has nothing
/// that is not known here. Throws Error with the reason as the end of a sentence.
[[nodiscard]] Super read_super(const ReadBytes& read, std::uint64_t size);

} // namespace coldspare::clone::xfs
