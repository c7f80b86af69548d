#pragma once

#include "clone/partition_table.hpp"
#include "clone/range.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// Bytes of the source and where they lie on the target.
struct Move {
    Range source;
    std::uint64_t target = 0;
    [[nodiscard]] Range on_target() const { return {target, source.length}; }
    bool operator==(const Move&) const = default;
};

/// Which bytes of a target stand for which of its source, where a copy is not the same bytes at the
/// same places. A byte of the source is moved, or kept, or not wanted.
struct DiskView {
    std::uint64_t size = 0; ///< of the source
    std::vector<Move> moves;
    /// What the source's partition table was. It is not written to the target, which has a table of
    /// its own, and reads as it was on the source.
    TableRegions kept;
    bool operator==(const DiskView&) const = default;

    /// How long the target has to be.
    [[nodiscard]] std::uint64_t needs() const;
    /// What reads as zeros, and is not copied: sorted, disjoint.
    [[nodiscard]] std::vector<Range> unwanted() const;
    /// Whether something lies at another place than on the source.
    [[nodiscard]] bool moved() const;
    /// Where these bytes of the source lie on the target, those that do.
    [[nodiscard]] std::vector<Range> on_target(const std::vector<Range>& ranges) const;
};

/// docs/PROTOCOL.md 12.
inline constexpr std::size_t most_moves = 1000;

/// Empty, or what is wrong with a view from outside: moves and kept regions are sorted, apart from
/// each other and on the source, moves do not meet on the target, and each is by a multiple of
/// 4096 bytes from and to a multiple of 512.
[[nodiscard]] std::string_view fault_of(const DiskView& view);

/// `range` without `holes` (sorted, disjoint).
[[nodiscard]] std::vector<Range> without(Range range, std::span<const Range> holes);

} // namespace coldspare::clone
