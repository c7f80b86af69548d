#pragma once

#include "clone/blocks.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// XXH3-128 of a block in canonical form (docs/PROTOCOL.md 1 and 3).
using Leaf = std::array<std::byte, 16>;

/// SHA-256.
using Sha256 = std::array<std::byte, 32>;

[[nodiscard]] Leaf hash_block(std::span<const std::byte> block);

/// XXH3-64, seed 0: the check of a frame header.
[[nodiscard]] std::uint64_t hash_header(std::span<const std::byte> bytes);

/// The leaf of a block of `length` zeros.
[[nodiscard]] Leaf zero_leaf(std::uint32_t length);

/// Whether every byte is zero. Stops at the first that is not.
[[nodiscard]] bool is_zero(std::span<const std::byte> bytes);

/// The root of a disk; `leaves.size()` is `geometry.block_count()`.
[[nodiscard]] Sha256 root_of(const Geometry& geometry, std::span<const Leaf> leaves);

[[nodiscard]] Sha256 sha256(std::span<const std::byte> bytes);

/// Of the pieces one after the other.
[[nodiscard]] Sha256 sha256_of_pieces(std::span<const std::string_view> pieces);

[[nodiscard]] std::string hex(const Sha256& digest);

/// `count` bytes from the system's random generator. Throws Error if it has none.
[[nodiscard]] std::vector<std::byte> random_bytes(std::size_t count);

} // namespace coldspare::clone
