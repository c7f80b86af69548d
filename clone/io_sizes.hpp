#pragma once

#include "clone/blocks.hpp"
#include "clone/range.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace coldspare::clone {

/// How much is read or written at once: what disks like, and four blocks of the usual size.
inline constexpr std::uint64_t io_size = 1 << 20;

/// The longest piece of data that a worker takes.
[[nodiscard]] constexpr std::uint64_t piece_length(const Geometry& geometry) {
    return std::max<std::uint64_t>(io_size, geometry.block_size);
}

/// How many pieces a worker keeps under way: 4 MiB in all, which with a few workers keeps fast
/// disks busy and slow ones from waiting long (docs/PERFORMANCE.md).
[[nodiscard]] constexpr unsigned queue_depth(const Geometry& geometry) {
    return static_cast<unsigned>(std::max<std::uint64_t>(2, 4 * io_size / piece_length(geometry)));
}

/// Sorted; what touches or overlaps becomes one.
[[nodiscard]] inline std::vector<Range> joined(std::vector<Range> ranges) {
    std::ranges::sort(ranges, {}, &Range::offset);
    std::vector<Range> result;
    for (const Range& range : ranges) {
        if (!result.empty() && range.offset <= result.back().end()) {
            result.back().length =
                std::max(result.back().end(), range.end()) - result.back().offset;
        } else {
            result.push_back(range);
        }
    }
    return result;
}

} // namespace coldspare::clone
