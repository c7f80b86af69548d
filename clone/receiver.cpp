// The target's side of a session. Each worker owns one connection and carries a frame from the wire
// to the disk:
//
//     channel.receive header ▶ inside the plan? ▶ first time? ▶ payload ▶ unpack ▶ hash equal? ▶
//     disk.write or zero
//
// Nothing is allocated or written for a frame before its header has passed every check.
#include "clone/receiver.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/workers.hpp"
#include "clone/buffer.hpp"
#include "clone/codec.hpp"
#include "clone/control.hpp"
#include "clone/sender.hpp"
#include "clone/verify.hpp"
#include "clone/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <optional>

namespace coldspare::clone {

namespace {

/// Which blocks have come. One bit a block, set by whoever carries it.
class Arrivals {
public:
    explicit Arrivals(std::uint64_t blocks) : blocks_(blocks), words_(blocks / 64 + 1) {}

    /// Marks a block. False if it was marked before.
    bool claim(std::uint64_t block) {
        const std::uint64_t bit = std::uint64_t{1} << (block % 64);
        const bool first = (words_[block / 64].fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
        if (first) {
            count_.fetch_add(1, std::memory_order_relaxed);
        }
        return first;
    }
    [[nodiscard]] std::uint64_t missing() const { return blocks_ - count_; }

private:
    std::uint64_t blocks_;
    std::vector<std::atomic<std::uint64_t>> words_;
    std::atomic<std::uint64_t> count_{0};
};

struct Session {
    Disk& disk;
    Geometry geometry;
    std::vector<Leaf> leaves;
    Arrivals arrivals;
    Counters counters;
    std::atomic<unsigned> running{0};

    Session(Disk& target, Geometry shape)
        : disk(target), geometry(shape), leaves(shape.block_count()),
          arrivals(shape.block_count()) {}
};

class TargetWorker {
public:
    TargetWorker(Session& session, Channel& channel)
        : session_(session), channel_(channel), block_(session.geometry.block_size),
          packed_(session.geometry.block_size) {}

    void run(std::stop_token stop) {
        for (;;) {
            const FrameHeader header = receive_header(stop);
            switch (header.type) {
            case FrameType::stream_end:
                --session_.running;
                return;
            case FrameType::zero:
                check_data_frame(header, session_.geometry);
                take_zeros(header);
                break;
            case FrameType::data:
                check_data_frame(header, session_.geometry);
                take_data(header, stop);
                break;
            default:
                skip(header, stop);
            }
        }
    }

private:
    FrameHeader receive_header(std::stop_token stop) {
        const Stopwatch waiting(session_.counters.net_ns);
        std::array<std::byte, header_size> bytes;
        channel_.receive(bytes, stop);
        return decode(bytes);
    }

    /// What this version does not know, if its sender can do without an answer.
    void skip(const FrameHeader& header, std::stop_token stop) {
        if (is_known(header.type) || !header.ignorable()) {
            throw Error(fmt::format("the peer broke the protocol: {} on a data connection",
                                    frame_name(header.type)),
                        "run the same version of coldspare on both sides");
        }
        check_control_frame(header);
        std::vector<std::byte> payload(header.wire_length);
        receive_payload(payload, stop);
    }

    void claim(Range range) {
        const std::uint32_t size = session_.geometry.block_size;
        for (std::uint64_t offset = range.offset; offset < range.end(); offset += size) {
            if (!session_.arrivals.claim(offset / size)) {
                throw Error(
                    fmt::format("the peer broke the protocol: the block at {} came twice", offset));
            }
        }
    }

    void take_zeros(const FrameHeader& header) {
        claim(header.range());
        const Geometry& geometry = session_.geometry;
        for (std::uint64_t offset = header.offset; offset < header.range().end();
             offset += geometry.block_size) {
            session_.leaves[offset / geometry.block_size] = zero_leaf(geometry.length_at(offset));
        }
        {
            const Stopwatch writing(session_.counters.io_ns);
            session_.disk.zero(header.offset, header.raw_length);
        }
        session_.counters.bytes_zero += header.raw_length;
        session_.counters.bytes_done += header.raw_length;
    }

    void take_data(const FrameHeader& header, std::stop_token stop) {
        claim(header.range());
        const std::span<std::byte> block = block_.first(header.raw_length);
        if (header.codec == Codec::store) {
            receive_payload(block, stop);
        } else {
            const std::span<std::byte> packed = packed_.first(header.wire_length);
            receive_payload(packed, stop);
            if (!unpacker_.unpack(packed, block)) {
                throw damaged(header);
            }
        }
        if (hash_block(block) != header.hash) {
            throw damaged(header);
        }
        session_.leaves[header.offset / session_.geometry.block_size] = header.hash;
        {
            const Stopwatch writing(session_.counters.io_ns);
            session_.disk.write(header.offset, block);
        }
        session_.counters.bytes_sent += header.raw_length;
        ++session_.counters.blocks_sent;
        session_.counters.bytes_done += header.raw_length;
    }

    void receive_payload(std::span<std::byte> into, std::stop_token stop) {
        const Stopwatch waiting(session_.counters.net_ns);
        channel_.receive(into, stop);
    }

    static Error damaged(const FrameHeader& header) {
        return Error(fmt::format("the block at {} ({}) was damaged on the way: its hash is another",
                                 header.offset, format_bytes(header.offset)),
                     "the network or a machine's memory damages data: check both, use TLS");
    }

    Session& session_;
    Channel& channel_;
    Unpacker unpacker_;
    AlignedBuffer block_;
    AlignedBuffer packed_;
};

/// Runs the workers until every stream has ended and END has come, whose payload is returned.
RootMessage copy(Session& session, Control& control, std::vector<Channel>& streams,
                 const ProgressSink& progress, std::stop_token stop) {
    std::vector<Worker> workers;
    session.running = static_cast<unsigned>(streams.size());
    for (Channel& stream : streams) {
        workers.emplace_back([&session, &stream](std::stop_token inner) {
            TargetWorker(session, stream).run(inner);
        });
    }
    std::optional<RootMessage> end;
    workers.emplace_back([&](std::stop_token inner) {
        while (session.running > 0 || !end) {
            if (const std::optional<Message> message = control.turn(inner)) {
                if (message->type != FrameType::end || end) {
                    throw Error(fmt::format("the peer broke the protocol: {} where END was due",
                                            frame_name(message->type)));
                }
                end = parse_root(message->payload);
            }
            progress({session.counters.bytes_done, session.geometry.size, control.limit()});
        }
    });
    run_workers(stop, std::move(workers));
    return *end;
}

void start(std::optional<Session>& session, Disk& target, const DiskMessage& disk) {
    const Geometry geometry{disk.facts.size, disk.block_size};
    try {
        session.emplace(target, geometry);
    } catch (const std::bad_alloc&) {
        throw Error(fmt::format("not enough memory for the hashes of '{}': 16 bytes for each of {} "
                                "blocks",
                                disk.facts.name, geometry.block_count()),
                    "receive on a machine with more memory");
    }
}

/// Takes the leaves out of the session: they are most of the memory of a large disk.
Manifest make_manifest(Session& session, const Sha256& root, const DiskFacts& source,
                       const std::string& program) {
    Manifest manifest;
    manifest.geometry = session.geometry;
    manifest.root = root;
    manifest.created = utc_timestamp();
    manifest.program = program;
    manifest.source_name = source.name;
    manifest.source_model = source.model;
    manifest.source_serial = source.serial;
    manifest.source_wwn = source.wwn;
    manifest.logical_sector = source.logical_sector;
    manifest.leaves = std::move(session.leaves);
    return manifest;
}

Sha256 check_root(const Session& session, const RootMessage& end) {
    if (const std::uint64_t missing = session.arrivals.missing(); missing > 0) {
        throw Error(fmt::format("the source ended with {} of {} blocks missing", missing,
                                session.geometry.block_count()),
                    "the copy is not good: clone again");
    }
    const Sha256 root = root_of(session.geometry, session.leaves);
    if (hex(root) != end.root) {
        throw Error(fmt::format("the roots differ: {} here, {} on the source", hex(root), end.root),
                    "the copy is not good: clone again");
    }
    return root;
}

} // namespace

CopyReport receive_disk(Peers& peers, const ReceiveOptions& options,
                        const TargetOpener& open_target, const ManifestKeeper& keep,
                        const VerifyOpener& open_for_verify, const ProgressSink& progress,
                        std::stop_token stop) {
    const Hello hello{.program = options.program,
                      .role = Role::target,
                      .streams = streams_for(options.streams),
                      .features = {"zstd"}};
    Peers::Control opened = peers.open_control(hello, stop);
    Counters idle;
    std::unique_ptr<Disk> target;
    std::optional<Session> session;
    std::vector<Channel> streams;
    Control control(std::move(opened.channel), Role::target, opened.agreement.streams, idle);
    try {
        const DiskMessage disk = parse_disk(control.expect(FrameType::disk, stop));
        target = open_target(disk.facts);
        start(session, *target, disk);
        control.count(session->counters);
        const std::vector<std::byte> id = random_bytes(16);
        const PlanMessage plan{
            to_hex(std::string_view(reinterpret_cast<const char*>(id.data()), id.size())),
            opened.agreement.streams};
        control.send(FrameType::plan, encode(plan), stop);
        static_cast<void>(control.expect(FrameType::ready, stop));
        open_streams(peers, plan, Role::target, control, streams, stop);
        const RootMessage end = copy(*session, control, streams, progress, stop);
        const Sha256 root = check_root(*session, end);
        const Manifest manifest = make_manifest(*session, root, disk.facts, options.program);
        keep_alive_while(
            control,
            [&](std::stop_token inner) {
                target->flush();
                if (options.read_back == ReadBack::yes) {
                    const std::unique_ptr<Disk> medium = open_for_verify();
                    require_intact(verify(*medium, manifest, progress, inner));
                }
                keep(manifest);
            },
            stop);
        control.send(FrameType::done, encode(RootMessage{hex(root), 0}), stop);
        CopyReport report = control.report(session->geometry, root, streams);
        report.verified = options.read_back == ReadBack::yes;
        return report;
    } catch (const Error& error) {
        control.give_up(error, streams, stop);
    } catch (const std::exception& error) {
        control.give_up(Error(fmt::format("unexpected: {}", error.what())), streams, stop);
    }
}

} // namespace coldspare::clone
