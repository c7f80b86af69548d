#pragma once

#include "base/clock.hpp"
#include "clone/batch.hpp"
#include "clone/block_set.hpp"
#include "clone/buffer.hpp"
#include "clone/channel.hpp"
#include "clone/codec.hpp"
#include "clone/cursor.hpp"
#include "clone/digest.hpp"
#include "clone/level.hpp"
#include "clone/limit.hpp"
#include "clone/progress.hpp"
#include "clone/salvage.hpp"
#include "clone/slots.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
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
    BlockSet known; ///< blocks for which the target has told a leaf
    Counters counters;
    TokenBucket bucket;
    std::atomic<unsigned> running{0};
    std::atomic<unsigned> reading{0}; ///< workers that have not read all their pieces once
    std::atomic<std::uint64_t> good_offset{UINT64_MAX}; ///< of a piece that could be read

private:
    mutable std::mutex mutex_;
    std::condition_variable told_more_;
    std::uint64_t told_until_ = 0;
    std::mutex salvaging_;
    std::vector<Range> put_off_;
    std::vector<Range> unreadable_;
};

/// One worker of the source: its own connection, disk queue, buffers and compression context. While
/// one piece is hashed, packed and sent, the next ones are read.
class SourceWorker {
public:
    SourceWorker(SourceSession& session, Channel& channel);

    /// Carries pieces until there are none, then says STREAM_END.
    void run(std::stop_token stop);

    /// Sends these blocks, which were sent before, once more. Throws Error if they have changed.
    void send_again(Range range, std::stop_token stop);

private:
    void fill(std::stop_token stop);
    void finish(unsigned slot, const std::optional<Error>& error, std::stop_token stop);
    void salvage_put_off(std::stop_token stop);
    /// Makes `block` what was sent with the leaf `sent`, if the disk still has that.
    void read_again(std::uint64_t offset, std::span<std::byte> block, const Leaf& sent,
                    std::stop_token stop);
    void frame_zeros(const Piece& piece, std::stop_token stop);
    void frame_piece(std::uint64_t offset, std::span<const std::byte> bytes, std::stop_token stop);
    void frame_data(std::uint64_t offset, std::span<const std::byte> block, const Leaf& leaf);
    /// Notes the block's leaf; whether the target has the block already.
    bool settle(std::uint64_t offset, const Leaf& leaf);
    void extend_run(FrameType type, Range range);
    void end_run();
    void add(const FrameHeader& header, std::span<const std::byte> payload = {});
    void send(std::stop_token stop);

    SourceSession& session_;
    Channel& channel_;
    Packer packer_;
    LevelChooser level_;
    Slots slots_;
    AlignedBuffer packed_;
    std::size_t packed_used_ = 0;
    Batch batch_;
    TimePoint sent_ = Clock::now();        ///< when the last batch had gone
    FrameType run_type_ = FrameType::zero; ///< of run_
    Range run_;                            ///< whole blocks that wait to become one frame
    Leaf zero_leaf_;                       ///< of a whole block
    std::unique_ptr<DiskQueue> queue_;     ///< ends before the buffers
};

} // namespace coldspare::clone
