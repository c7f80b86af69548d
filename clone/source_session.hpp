#pragma once

#include "clone/block_set.hpp"
#include "clone/cursor.hpp"
#include "clone/digest.hpp"
#include "clone/level.hpp"
#include "clone/limit.hpp"
#include "clone/parts.hpp"
#include "clone/progress.hpp"
#include "clone/salvage.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

namespace coldspare::clone {

/// What to do with what cannot be read.
enum class OnReadError {
    skip, ///< zeros instead, and said
    stop,
};

struct SourcePlan {
    Geometry geometry;
    Compression compression;
    OnReadError on_read_error = OnReadError::skip;
    std::vector<Range> free;
    RateLimit limit;
    unsigned streams = 1; ///< that share the limit
    bool told = false;    ///< the target tells what it has: no block goes before its word on it
};

/// What all workers of the source share in one session.
class SourceSession {
public:
    SourceSession(Disk& disk, SourcePlan plan);

    /// The target has these leaves for the blocks of `range` (none: it has nothing there). Ranges
    /// come in order and without gaps.
    void tell(Range range, std::span<const std::byte> leaves);
    /// The sums of the parts of these blocks there; before tell() of the same blocks.
    void tell_parts(Range range, std::span<const std::byte> sums);
    /// Up to where the target may tell what it has, when that has become much more since the last
    /// call. One thread at a time.
    [[nodiscard]] std::optional<std::uint64_t> more_credit();
    /// Blocks until the target's word on everything before `end` is there.
    void await_told(std::uint64_t end, std::stop_token stop);

    /// Pieces that could not be read at once, to be read again with care when all else is done.
    void put_off(Range piece);
    /// Throws Error if not even what could be read before can be read: then the disk is gone.
    /// Blocks while nothing could be read yet and another worker may still do so.
    void require_disk(std::stop_token stop);
    [[nodiscard]] std::optional<Range> take_put_off();
    /// salvage() for one worker at a time: a failing disk gets no faster by more, and two that read
    /// from one folio of the page cache keep each other from what is good in it.
    [[nodiscard]] Salvage salvage(std::uint64_t offset, std::span<std::byte> into,
                                  std::stop_token stop);
    void give_up_on(const std::vector<Range>& ranges);
    /// Sorted and joined.
    [[nodiscard]] std::vector<Range> unreadable() const;

    Disk& disk;
    const SourcePlan plan;
    SourceCursor cursor;
    /// Each element is the target's (resume) until the one worker that reads the block replaces it.
    std::vector<Leaf> leaves;
    BlockSet known;                         ///< blocks for which the target has told a leaf
    std::optional<PartTable<PartSum>> sums; ///< of the target's blocks, if it tells what it has
    Counters counters;
    TokenBucket bucket;
    std::atomic<unsigned> running{0};
    std::atomic<unsigned> reading{0}; ///< workers that have not read all their pieces once
    std::atomic<std::uint64_t> good_offset{UINT64_MAX}; ///< of a piece that could be read

private:
    mutable std::mutex mutex_;
    std::condition_variable told_more_;
    std::uint64_t told_until_ = 0;
    std::uint64_t credit_ = told_ahead;
    std::mutex salvaging_;
    std::vector<Range> put_off_;
    std::vector<Range> unreadable_;
};

} // namespace coldspare::clone
