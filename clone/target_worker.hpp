#pragma once

#include "clone/block_set.hpp"
#include "clone/buffer.hpp"
#include "clone/channel.hpp"
#include "clone/codec.hpp"
#include "clone/digest.hpp"
#include "clone/disk.hpp"
#include "clone/parts.hpp"
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

    /// These blocks were written without an error; they are durable after the next flush.
    void written(Range blocks);
    /// As many bytes of blocks that were there before.
    void written_in_parts(std::uint64_t bytes);
    struct Written {
        std::vector<Range> blocks; ///< sorted and joined
        std::uint64_t in_parts = 0;
    };
    /// What was written since the last call.
    [[nodiscard]] Written take_written();
    [[nodiscard]] std::uint64_t bytes_written() const { return bytes_written_; }

    /// What came in parts did not become the source's block: it has to come whole.
    void want(Range block);
    [[nodiscard]] std::vector<Range> take_wanted();

    void note_unreadable(Range range);
    /// Sorted and joined.
    [[nodiscard]] std::vector<Range> unreadable() const;

    Disk& disk;
    const Geometry geometry;
    std::vector<Leaf> leaves; ///< of what has arrived, and (resume) of what was there
    BlockSet arrivals;
    BlockSet known;                       ///< resume: blocks whose leaf was told to the source
    std::optional<PartTable<Leaf>> parts; ///< resume: of the blocks told last
    /// What is there may be told up to this offset.
    std::atomic<std::uint64_t> credit{told_ahead};
    /// No block behind this may come yet: the source was not told what is there. Who sees it also
    /// sees the leaves before it.
    std::atomic<std::uint64_t> told_until{UINT64_MAX};
    Counters counters;
    std::atomic<unsigned> running{0};

private:
    mutable std::mutex mutex_;
    Written written_;
    std::vector<Range> wanted_;
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
    void take_parts(const FrameHeader& header, std::stop_token stop);
    /// The content behind a head of PARTS, in gathered_.
    void receive_parts(const FrameHeader& header, const PartsHead& head, std::stop_token stop);
    void write_part(Range range, std::span<const std::byte> bytes);
    void count_data(const FrameHeader& header, std::uint64_t bytes);
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
    std::vector<std::byte> gathered_;  ///< the parts of one block
    std::unique_ptr<DiskQueue> queue_; ///< ends before the buffers
};

} // namespace coldspare::clone
