#pragma once

#include <cstdint>

namespace coldspare::clone {

/// The block size unless asked otherwise: fits a core's cache, which is where hashing and packing
/// find it after the read.
inline constexpr std::uint32_t default_block_size = 256 * 1024;
inline constexpr std::uint32_t smallest_block_size = 4 * 1024;
inline constexpr std::uint32_t largest_block_size = 4 * 1024 * 1024;

/// docs/PROTOCOL.md 12.
inline constexpr std::uint64_t largest_disk_size = std::uint64_t{256} << 40;

/// Each costs 16 bytes of memory on both sides.
inline constexpr std::uint64_t most_blocks = std::uint64_t{1} << 30;

[[nodiscard]] constexpr bool is_block_size(std::uint64_t bytes) {
    return bytes >= smallest_block_size && bytes <= largest_block_size &&
           (bytes & (bytes - 1)) == 0;
}

/// How a disk is cut into blocks.
struct Geometry {
    std::uint64_t size = 0;                        ///< bytes
    std::uint32_t block_size = default_block_size; ///< bytes, a power of two

    [[nodiscard]] std::uint64_t block_count() const {
        return size / block_size + (size % block_size != 0 ? 1 : 0);
    }
    /// Length of the block that starts at `offset` (a multiple of block_size below size).
    [[nodiscard]] std::uint32_t length_at(std::uint64_t offset) const {
        const std::uint64_t rest = size - offset;
        return rest < block_size ? static_cast<std::uint32_t>(rest) : block_size;
    }
    bool operator==(const Geometry&) const = default;
};

} // namespace coldspare::clone
