// The source's side of a session. Workers share the cursor and the counters and nothing else; each
// carries a piece of 1 MiB from the read to the send, block by block while the block is in its
// core's cache:
//
//     cursor ▶ disk.read ▶ per block: zero? ▶ hash ▶ pack ▶ frame ▶ channel.send
//
// The control connection is served by one more worker: heartbeats, progress, and the peer's ERROR.
#include "clone/sender.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/workers.hpp"
#include "clone/buffer.hpp"
#include "clone/codec.hpp"
#include "clone/control.hpp"
#include "clone/range.hpp"
#include "clone/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t piece_size = 1 << 20;

/// What all workers of the session see.
struct Session {
    Disk& disk;
    Geometry geometry;
    bool zstd;
    int level;
    RangeCursor cursor;
    std::vector<Leaf> leaves; ///< each element is written by the one worker that read the block
    Counters counters;
    std::atomic<unsigned> running{0};

    Session(Disk& source, const SendOptions& options)
        : disk(source), geometry{source.facts().size, options.block_size}, zstd(false),
          level(options.level.value_or(0)),
          cursor(geometry.size, std::max<std::uint64_t>(piece_size, options.block_size)),
          leaves(geometry.block_count()) {}
};

/// One worker: its own connection, buffers and compression context.
class SourceWorker {
public:
    SourceWorker(Session& session, Channel& channel)
        : session_(session), channel_(channel), packer_(session.level),
          piece_(std::max<std::uint64_t>(piece_size, session.geometry.block_size)),
          frames_(piece_.size() + (piece_.size() / session.geometry.block_size + 2) * header_size) {
    }

    void run(std::stop_token stop) {
        while (const std::optional<Range> range = session_.cursor.next()) {
            const std::span<std::byte> bytes =
                piece_.first(static_cast<std::size_t>(range->length));
            {
                const Stopwatch reading(session_.counters.io_ns);
                session_.disk.read(range->offset, bytes);
            }
            frame_piece(range->offset, bytes);
            send_frames(stop);
            session_.counters.bytes_done += range->length;
        }
        append_header(FrameHeader{.type = FrameType::stream_end});
        send_frames(stop);
        --session_.running;
    }

private:
    void frame_piece(std::uint64_t offset, std::span<const std::byte> bytes) {
        const Geometry& geometry = session_.geometry;
        Range zeros{offset, 0};
        for (std::size_t at = 0; at < bytes.size(); at += geometry.block_size) {
            const std::uint32_t length = geometry.length_at(offset + at);
            const std::span<const std::byte> block = bytes.subspan(at, length);
            Leaf& leaf = session_.leaves[(offset + at) / geometry.block_size];
            if (is_zero(block)) {
                leaf = zero_leaf(length);
                zeros.length += length;
                continue;
            }
            frame_zeros(zeros);
            zeros = {offset + at + length, 0};
            leaf = hash_block(block);
            frame_data(offset + at, block, leaf);
        }
        frame_zeros(zeros);
    }

    void frame_zeros(Range zeros) {
        if (zeros.length == 0) {
            return;
        }
        append_header(FrameHeader{.type = FrameType::zero,
                                  .offset = zeros.offset,
                                  .raw_length = static_cast<std::uint32_t>(zeros.length)});
        session_.counters.bytes_zero += zeros.length;
    }

    void frame_data(std::uint64_t offset, std::span<const std::byte> block, const Leaf& leaf) {
        FrameHeader header{.type = FrameType::data,
                           .offset = offset,
                           .raw_length = static_cast<std::uint32_t>(block.size()),
                           .wire_length = static_cast<std::uint32_t>(block.size()),
                           .hash = leaf};
        const std::span<std::byte> payload = frames_.span().subspan(used_ + header_size);
        const std::size_t packed = session_.zstd ? packer_.pack(block, payload) : 0;
        if (packed > 0) {
            header.codec = Codec::zstd;
            header.wire_length = static_cast<std::uint32_t>(packed);
        } else {
            std::memcpy(payload.data(), block.data(), block.size());
        }
        append_header(header);
        used_ += header.wire_length;
        session_.counters.bytes_sent += block.size();
        ++session_.counters.blocks_sent;
    }

    void append_header(const FrameHeader& header) {
        const auto bytes = encode(header);
        std::memcpy(frames_.span().data() + used_, bytes.data(), bytes.size());
        used_ += bytes.size();
    }

    void send_frames(std::stop_token stop) {
        const Stopwatch sending(session_.counters.net_ns);
        channel_.send(frames_.first(used_), stop);
        used_ = 0;
    }

    Session& session_;
    Channel& channel_;
    Packer packer_;
    AlignedBuffer piece_;
    AlignedBuffer frames_;
    std::size_t used_ = 0;
};

void copy(Session& session, Control& control, std::vector<Channel>& streams,
          const ProgressSink& progress, std::stop_token stop) {
    std::vector<Worker> workers;
    session.running = static_cast<unsigned>(streams.size());
    for (Channel& stream : streams) {
        workers.emplace_back([&session, &stream](std::stop_token inner) {
            SourceWorker(session, stream).run(inner);
        });
    }
    workers.emplace_back([&](std::stop_token inner) {
        while (session.running > 0) {
            if (const std::optional<Message> message = control.turn(inner)) {
                throw Error(fmt::format("the peer broke the protocol: {} while the copy goes on",
                                        frame_name(message->type)),
                            "run the same version of coldspare on both sides");
            }
            // What counts is what the target has written.
            progress({std::min(control.peer_done(), session.geometry.size), session.geometry.size,
                      control.limit()});
        }
    });
    run_workers(stop, std::move(workers));
}

/// After the last block: roots compared, and the target's word that all is durable.
Sha256 conclude(Session& session, Control& control, const ProgressSink& progress,
                std::stop_token stop) {
    const Sha256 root = root_of(session.geometry, session.leaves);
    control.send(FrameType::end, encode(RootMessage{hex(root), session.counters.blocks_sent}),
                 stop);
    for (;;) {
        const std::optional<Message> message = control.turn(stop);
        progress({std::min(control.peer_done(), session.geometry.size), session.geometry.size,
                  "target"});
        if (!message) {
            continue;
        }
        if (message->type != FrameType::done) {
            throw Error(fmt::format("the peer broke the protocol: {} where DONE was due",
                                    frame_name(message->type)));
        }
        if (const RootMessage done = parse_root(message->payload); done.root != hex(root)) {
            throw Error(
                fmt::format("the roots differ: {} here, {} on the target", hex(root), done.root),
                "the copy is not good: clone again");
        }
        return root;
    }
}

} // namespace

unsigned streams_for(unsigned asked) {
    if (asked != 0) {
        return std::min(asked, most_streams);
    }
    return std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
}

CopyReport send_disk(Disk& disk, Peers& peers, const SendOptions& options,
                     const ProgressSink& progress, std::stop_token stop) {
    Session session(disk, options);
    Hello hello{
        .program = options.program, .role = Role::source, .streams = streams_for(options.streams)};
    if (options.level) {
        hello.features = {"zstd"};
    }
    Peers::Control opened = peers.open_control(hello, stop);
    session.zstd = opened.agreement.zstd;
    Control control(std::move(opened.channel), Role::source, opened.agreement.streams,
                    session.counters);
    std::vector<Channel> streams;
    try {
        control.send(FrameType::disk, encode(DiskMessage{disk.facts(), options.block_size, true}),
                     stop);
        const PlanMessage plan = parse_plan(control.expect(FrameType::plan, stop));
        if (plan.streams > opened.agreement.streams) {
            throw Error(fmt::format("the target plans {} streams, {} were agreed on", plan.streams,
                                    opened.agreement.streams));
        }
        control.send(FrameType::ready, {}, stop);
        open_streams(peers, plan, Role::source, control, streams, stop);
        copy(session, control, streams, progress, stop);
        const Sha256 root = conclude(session, control, progress, stop);
        CopyReport report = control.report(session.geometry, root, streams);
        report.bytes_read = session.counters.bytes_done;
        return report;
    } catch (const Error& error) {
        control.give_up(error, streams, stop);
    } catch (const std::exception& error) {
        control.give_up(Error(fmt::format("unexpected: {}", error.what())), streams, stop);
    }
}

} // namespace coldspare::clone
