#pragma once

#include "clone/blocks.hpp"
#include "clone/digest.hpp"
#include "clone/range.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

/// Blocks in parts of 4 KiB: a re-clone sends what changed of a block, and not all of it
/// (docs/PROTOCOL.md 9).
namespace coldspare::clone {

inline constexpr std::uint32_t part_size = 4096;

/// The first bytes of a part's hash: enough to find what has changed. Where they are wrong (one
/// changed part in 65536 has them equal), the digest of a PARTS frame shows it.
using PartSum = std::array<std::byte, 2>;

[[nodiscard]] inline PartSum sum_of(const Leaf& part) {
    return {part[0], part[1]};
}

/// How far behind the last piece that the source has begun to read the target may tell what it has.
inline constexpr std::uint64_t told_ahead = std::uint64_t{1} << 30;
/// How much of the disk a side remembers parts of: that, and what is under way between the two.
inline constexpr std::uint64_t remembered = told_ahead + (std::uint64_t{256} << 20);

/// Parts of a block, or of several blocks of which only the last may be short.
[[nodiscard]] constexpr std::uint64_t parts_in(std::uint64_t length) {
    return (length + part_size - 1) / part_size;
}

/// Whether blocks of this size are worth to be sent in parts.
[[nodiscard]] constexpr bool has_parts(const Geometry& geometry) {
    return geometry.block_size >= 4 * part_size;
}

/// XXH3-128 of each part; replaces what is in `into`.
void hash_parts(std::span<const std::byte> block, std::vector<Leaf>& into);

/// XXH3-128 over the hashes: two blocks of the same length with equal ones are equal.
[[nodiscard]] Leaf digest_of(std::span<const Leaf> parts);

/// Remembers something about the parts of the blocks told last, as many as are under way between
/// the sides, and forgets the older ones. Any thread may call anything.
template <typename T>
class PartTable {
public:
    PartTable(const Geometry& geometry, std::uint64_t bytes_of_disk)
        : width_(static_cast<std::size_t>(parts_in(geometry.block_size))),
          blocks_(static_cast<std::size_t>(
              std::min(bytes_of_disk / geometry.block_size, geometry.block_count()))),
          whose_(blocks_, nobody), parts_(blocks_ * width_) {}

    /// `parts` are those of one block.
    void put(std::uint64_t block, std::span<const T> parts) {
        const std::scoped_lock lock(mutex_);
        const std::size_t place = block % blocks_;
        whose_[place] = block;
        std::ranges::copy(parts, parts_.begin() + static_cast<std::ptrdiff_t>(place * width_));
    }

    /// The first `into.size()` parts of a block; false if they were forgotten, or never told.
    [[nodiscard]] bool get(std::uint64_t block, std::span<T> into) const {
        const std::scoped_lock lock(mutex_);
        const std::size_t place = block % blocks_;
        if (whose_[place] != block) {
            return false;
        }
        std::copy_n(parts_.begin() + static_cast<std::ptrdiff_t>(place * width_), into.size(),
                    into.begin());
        return true;
    }

private:
    static constexpr std::uint64_t nobody = UINT64_MAX;
    std::size_t width_;
    std::size_t blocks_;
    mutable std::mutex mutex_;
    std::vector<std::uint64_t> whose_;
    std::vector<T> parts_;
};

/// What stands before the content in the payload of a PARTS frame.
struct PartsHead {
    std::vector<bool> changed; ///< for each part of the block, whether its content follows
    Leaf digest{};             ///< digest_of() the whole block as it is on the source

    /// Bytes of the block that follow, if it is of this length.
    [[nodiscard]] std::uint32_t content_length(std::uint32_t block_length) const;
};

/// Bytes of a head for a block of this length.
[[nodiscard]] constexpr std::size_t parts_head_size(std::uint32_t block_length) {
    return static_cast<std::size_t>((parts_in(block_length) + 7) / 8) + sizeof(Leaf);
}

/// `into` has parts_head_size() bytes.
void encode_parts_head(const PartsHead& head, std::span<std::byte> into);

/// `bytes` has parts_head_size() bytes. Throws Error if a part is named that the block does not
/// have, or none.
[[nodiscard]] PartsHead parse_parts_head(std::span<const std::byte> bytes,
                                         std::uint32_t block_length);

/// The bytes of part `number` of a block of this length.
[[nodiscard]] constexpr Range part_range(std::size_t number, std::uint32_t block_length) {
    const std::uint64_t offset = std::uint64_t{number} * part_size;
    return {offset, std::min<std::uint64_t>(part_size, block_length - offset)};
}

} // namespace coldspare::clone
