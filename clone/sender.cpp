// The source's side of a session. Workers share the cursor and the counters and nothing else; each
// carries a piece of 1 MiB from the read to the send, block by block while the block is in its
// core's cache (source_worker.cpp):
//
//     cursor ▶ queue.read ▶ per block: zero? ▶ hash ▶ had already? ▶ pack ▶ frame ▶ channel.send
//
// The control connection is served by one more worker: heartbeats, progress, what the target tells
// of the blocks it has, and the peer's ERROR.
#include "clone/sender.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/workers.hpp"
#include "clone/control.hpp"
#include "clone/masked_disk.hpp"
#include "clone/table_regions.hpp"
#include "clone/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace coldspare::clone {

namespace {

Error out_of_turn(const Message& message, std::string_view when) {
    return protocol_error(fmt::format("{} {}", frame_name(message.type), when));
}

/// A session as the control thread sees it.
class Sending {
public:
    Sending(SourceSession& session, Control& control, std::vector<Channel>& streams, unsigned disk,
            std::string_view name, const ProgressSink& progress)
        : session_(session), control_(control), streams_(streams), disk_(disk), name_(name),
          progress_(progress) {}

    void copy(std::stop_token stop) {
        std::vector<Worker> workers;
        session_.running = static_cast<unsigned>(streams_.size());
        session_.reading = session_.running.load();
        for (Channel& stream : streams_) {
            workers.emplace_back([this, &stream](std::stop_token inner) {
                SourceWorker(session_, stream).run(inner);
            });
        }
        workers.emplace_back([this](std::stop_token inner) {
            while (session_.running > 0) {
                if (const std::optional<Message> message = control_.turn(inner);
                    message && !heard(*message)) {
                    throw out_of_turn(*message, "while the copy goes on");
                }
                if (const std::optional<std::uint64_t> credit = session_.more_credit()) {
                    control_.send(FrameType::credit, encode(CreditMessage{*credit}), inner);
                }
                tell_progress(control_.limit());
            }
        });
        run_workers(stop, std::move(workers));
    }

    /// After the last block: what did not read back right is sent again, roots are compared, and
    /// the target says that all is durable.
    Sha256 conclude(const std::stop_token& stop) {
        const Sha256 root = root_of(session_.plan.geometry, session_.leaves);
        control_.send(FrameType::end,
                      encode(RootMessage{hex(root), session_.counters.blocks_sent, disk_}), stop);
        for (;;) {
            const std::optional<Message> message = control_.turn(stop);
            tell_progress("target");
            if (!message || heard(*message)) {
                continue;
            }
            if (message->type == FrameType::want) {
                send_again(*message, stop);
                continue;
            }
            if (message->type != FrameType::done) {
                throw out_of_turn(*message, "where DONE was due");
            }
            if (const RootMessage done = parse_root(message->payload);
                done.root != hex(root) || done.disk != disk_) {
                throw Error(fmt::format("the roots differ: {} here, {} on the target", hex(root),
                                        done.root),
                            "the copy is not good: clone again");
            }
            return root;
        }
    }

private:
    /// Whether it was a message that may come at any time.
    bool heard(const Message& message) {
        if (message.type == FrameType::hashes) {
            check_block_range(message.header(), session_.plan.geometry);
            session_.tell(message.range, as_byte_span(message.payload));
        } else if (message.type == FrameType::subhashes) {
            check_block_range(message.header(), session_.plan.geometry);
            session_.tell_parts(message.range, as_byte_span(message.payload));
        } else if (message.type == FrameType::durable) {
            durable_ = parse_durable(message.payload).bytes;
        } else {
            return false;
        }
        return true;
    }

    void send_again(const Message& message, const std::stop_token& stop) {
        check_block_range(message.header(), session_.plan.geometry);
        keep_alive_while(
            control_,
            [&](std::stop_token inner) {
                SourceWorker(session_, streams_.front()).send_again(message.range, inner);
            },
            stop);
    }

    /// What counts is what the target has on its medium.
    void tell_progress(std::string_view limit) {
        const std::uint64_t size = session_.plan.geometry.size;
        progress_({std::min(durable_, size), size, limit, name_});
    }

    SourceSession& session_;
    Control& control_;
    std::vector<Channel>& streams_;
    unsigned disk_;
    std::string_view name_;
    const ProgressSink& progress_;
    std::uint64_t durable_ = 0;
};

} // namespace

unsigned streams_for(unsigned asked) {
    if (asked != 0) {
        return std::min(asked, most_streams);
    }
    return std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
}

namespace {

/// A meeting with a target, from HELLO to the last DONE.
class Serving {
public:
    Serving(std::span<SourceDisk> disks, Peers& peers, const SendOptions& options,
            const ProgressSink& progress, Peers::Control opened)
        : disks_(disks), peers_(peers), options_(options), progress_(progress),
          agreement_(opened.agreement),
          control_(std::move(opened.channel), Role::source, opened.agreement.streams, idle_) {}

    void serve(const std::stop_token& stop) {
        try {
            const std::string inventory = make_inventory(stop);
            for (const SourceDisk& each : disks_) {
                offer({.facts = each.disk->facts(),
                       .block_size = options_.block_size,
                       .last = &each == &disks_.back(),
                       .inventory = each.inventoried && !inventory.empty()},
                      *each.disk, stop);
            }
            if (!inventory.empty()) {
                control_.send(FrameType::inventory, inventory, stop);
            }
            while (serve_next(stop)) {
            }
        } catch (const Error& error) {
            control_.give_up(error, streams_, stop);
        } catch (const std::exception& error) {
            control_.give_up(Error(fmt::format("unexpected: {}", error.what())), streams_, stop);
        }
    }

private:
    /// Empty if none is wanted.
    std::string make_inventory(const std::stop_token& stop) {
        std::string inventory;
        if (agreement_.inventory && options_.inventory &&
            std::ranges::any_of(disks_, &SourceDisk::inventoried)) {
            keep_alive_while(
                control_, [&](std::stop_token) { inventory = options_.inventory(); }, stop);
        }
        return inventory;
    }

    void offer(DiskMessage message, Disk& disk, const std::stop_token& stop) {
        TableRegions table;
        keep_alive_while(
            control_, [&](std::stop_token) { table = regions_of(disk); }, stop);
        message.table = !table.empty();
        control_.send(FrameType::disk, encode(message), stop);
        if (!table.empty()) {
            control_.send(FrameType::table, encode_regions(table), stop);
        }
    }

    /// One PLAN. Returns whether another one follows.
    bool serve_next(const std::stop_token& stop) {
        const PlanMessage plan = parse_plan(control_.expect(FrameType::plan, stop));
        if (plan.streams > agreement_.streams) {
            throw Error(fmt::format("the target plans {} streams, {} were agreed on", plan.streams,
                                    agreement_.streams));
        }
        if (plan.disk >= disks_.size()) {
            throw Error(
                fmt::format("the target plans disk {}, there are {}", plan.disk, disks_.size()));
        }
        SourceDisk& served = disks_[plan.disk];
        Disk& disk = *served.disk;
        served.begun = true;
        begin_disk();
        // Nothing is masked unless the target says so.
        wanted_.emplace(
            disk, plan.unwanted
                      ? parse_ranges(control_.expect(FrameType::unwanted, stop), disk.facts().size)
                      : std::vector<Range>());
        std::vector<Range> free;
        if (options_.find_free) {
            keep_alive_while(
                control_,
                [&](std::stop_token inner) { free = options_.find_free(disk.facts(), inner); },
                stop);
        }
        session_.emplace(*wanted_,
                         SourcePlan{.geometry = {disk.facts().size, options_.block_size},
                                    .compression = agreement_.zstd
                                                       ? options_.compression
                                                       : Compression{Compression::Mode::none},
                                    .on_read_error = options_.on_read_error,
                                    .free = std::move(free),
                                    .limit = options_.limit,
                                    .streams = plan.streams,
                                    .told = plan.mode != CopyMode::full});
        control_.count(session_->counters);
        control_.send(FrameType::ready, {}, stop);
        open_streams(peers_, plan, Role::source, control_, streams_, stop);
        const std::string_view name = disks_.size() > 1 ? disk.facts().name : std::string_view();
        Sending sending(*session_, control_, streams_, plan.disk, name, progress_);
        sending.copy(stop);
        const Sha256 root = sending.conclude(stop);
        served.report = control_.report(session_->plan.geometry, root, streams_);
        served.report->unreadable = session_->unreadable();
        served.report->resumed = plan.mode == CopyMode::resume;
        served.report->reclone = plan.mode == CopyMode::delta;
        return plan.more;
    }

    void begin_disk() {
        control_.begin_disk(idle_);
        streams_.clear();
        session_.reset();
        wanted_.reset();
    }

    std::span<SourceDisk> disks_;
    Peers& peers_;
    const SendOptions& options_;
    const ProgressSink& progress_;
    Agreement agreement_;
    Counters idle_;
    std::optional<MaskedDisk> wanted_;     ///< of the disk that is under way
    std::optional<SourceSession> session_; ///< of the disk that is under way
    std::vector<Channel> streams_;         ///< likewise
    Control control_;
};

} // namespace

void send_disks(std::span<SourceDisk> disks, Peers& peers, const SendOptions& options,
                const ProgressSink& progress, std::stop_token stop) {
    Hello hello{
        .program = options.program, .role = Role::source, .streams = streams_for(options.streams)};
    if (options.compression.mode != Compression::Mode::none) {
        hello.features = {"zstd"};
    }
    if (options.inventory) {
        hello.features.emplace_back("inventory");
    }
    Serving(disks, peers, options, progress, peers.open_control(hello, stop)).serve(stop);
}

CopyReport send_disk(Disk& disk, Peers& peers, const SendOptions& options,
                     const ProgressSink& progress, std::stop_token stop) {
    SourceDisk only{.disk = &disk};
    send_disks(std::span(&only, 1), peers, options, progress, std::move(stop));
    return std::move(*only.report);
}

} // namespace coldspare::clone
