#pragma once

#include "clone/block_set.hpp"
#include "clone/buffer.hpp"
#include "clone/channel.hpp"
#include "clone/codec.hpp"
#include "clone/digest.hpp"
#include "clone/disk.hpp"
#include "clone/progress.hpp"
#include "clone/slots.hpp"
#include "clone/wire.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

namespace coldspare::clone {

/// What all workers of the target share in one session.
class TargetSession {
public:
    TargetSession(Disk& target, const Geometry& shape);

    /// These bytes were written without an error; they are durable after the next flush.
    void written(Range range);
    /// What was written since the last call, sorted and joined.
    [[nodiscard]] std::vector<Range> take_written();
    [[nodiscard]] std::uint64_t bytes_written() const { return bytes_written_; }

    void note_unreadable(Range range);
    /// Sorted and joined.
    [[nodiscard]] std::vector<Range> unreadable() const;

    Disk& disk;
    const Geometry geometry;
    std::vector<Leaf> leaves; ///< of what has arrived, and (resume) of what was there
    BlockSet arrivals;
    BlockSet known; ///< resume: blocks whose leaf was told to the source
    /// No block behind this may come yet: the source was not told what is there. Who sees it also
    /// sees the leaves before it.
    std::atomic<std::uint64_t> told_until{UINT64_MAX};
    Counters counters;
    std::atomic<unsigned> running{0};

private:
    mutable std::mutex mutex_;
    std::vector<Range> written_;
    std::vector<Range> unreadable_;
    std::atomic<std::uint64_t> bytes_written_{0};
};

/// One worker of the target: its own connection, disk queue, buffers and decompression context.
/// Blocks that follow each other are written together; while they are, the next ones come in.
class TargetWorker {
public:
    TargetWorker(TargetSession& session, Channel& channel);

    /// Takes frames until STREAM_END. When it returns, all that came was written.
    void run(std::stop_token stop);

    /// Takes the blocks of `range`, which have come before, once more: their leaves must be the
    /// same.
    void take_again(Range range, std::stop_token stop);

private:
    [[nodiscard]] FrameHeader receive_header(std::stop_token stop);
    void receive_payload(std::span<std::byte> into, std::stop_token stop);
    void skip(const FrameHeader& header, std::stop_token stop);
    void claim(Range range);
    void take_zeros(const FrameHeader& header, std::stop_token stop);
    void take_same(const FrameHeader& header);
    void take_data(const FrameHeader& header, std::stop_token stop);
    /// Room for a block behind the run, which is written first if the block does not follow it.
    [[nodiscard]] std::span<std::byte> room_for(const FrameHeader& header);
    void write_run();
    void reap();

    TargetSession& session_;
    Channel& channel_;
    Unpacker unpacker_;
    Slots slots_;
    std::optional<unsigned> filling_; ///< the slot whose range grows: the run
    AlignedBuffer packed_;
    std::unique_ptr<DiskQueue> queue_; ///< ends before the buffers
};

} // namespace coldspare::clone
