#pragma once

#include "base/clock.hpp"
#include "clone/disk.hpp"
#include "clone/range.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

namespace coldspare::clone {

struct SalvageOptions {
    unsigned retries = 0; ///< a sector that cannot be read is tried this many times more
    /// No read is begun after this time. One that was begun before is waited for: a failing disk
    /// takes up to half a minute for it, and the kernel does not return earlier.
    std::chrono::seconds budget{60};
    std::function<TimePoint()> now = Clock::now;
};

struct Salvage {
    /// What could not be read: sorted, joined, zeros in the buffer. Empty if all was read.
    std::vector<Range> bad;
    /// Whether the time was used up: then some of `bad` may never have been tried.
    bool gave_up = false;
};

/// Reads what can be read of [offset, offset + into.size()), after one read of all of it failed;
/// the rest of `into` becomes zeros. Reads in small pieces, so that each failure costs less, and in
/// an order that has most of the good bytes before the time is used up (salvage.cpp). Blocks for up
/// to `budget` and one read more; asks for a stop before each read and throws interrupted(). The
/// disk's Errors are answers here; none comes out.
///
/// `offset` and `into` are as Disk wants them: a piece in the place that it has in an
/// AlignedBuffer.
[[nodiscard]] Salvage salvage(Disk& disk, std::uint64_t offset, std::span<std::byte> into,
                              const SalvageOptions& options, std::stop_token stop);

} // namespace coldspare::clone
