// The target's side of a session. Each worker owns one connection and carries frames from the wire
// to the disk (target_worker.cpp):
//
//     channel.receive header ▶ inside the plan? ▶ first time? ▶ payload ▶ unpack ▶ hash equal? ▶
//     queue.write or disk.zero
//
// Nothing is allocated or written for a frame before its header has passed every check.
//
// Every few seconds an epoch makes durable what was written until then: fdatasync, a record in the
// journal, and the source's progress moves. No worker waits for it: what is still under way belongs
// to the next epoch.
#include "clone/receiver.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/workers.hpp"
#include "clone/control.hpp"
#include "clone/epochs.hpp"
#include "clone/rehash.hpp"
#include "clone/sender.hpp"
#include "clone/table_regions.hpp"
#include "clone/target_worker.hpp"
#include "clone/verify.hpp"
#include "clone/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>
#include <thread>

namespace coldspare::clone {

namespace {

/// One session of the target after its opening.
class Receiving {
public:
    Receiving(TargetSession& session, Destination& destination, Control& control,
              std::vector<Channel>& streams, const ReceiveOptions& options, std::string_view name,
              const ProgressSink& progress)
        : session_(session), destination_(destination), control_(control), streams_(streams),
          options_(options), name_(name), progress_(progress),
          epochs_(session, destination, control, options.epoch) {}

    /// Runs the workers until every stream has ended and END has come, whose payload is returned.
    /// `proved`: the session's leaves are those of what is there.
    RootMessage copy(const Destination::Opened& target, bool proved, std::stop_token stop) {
        const bool tells = target.mode != CopyMode::full;
        std::vector<Worker> workers;
        session_.running = static_cast<unsigned>(streams_.size());
        for (Channel& stream : streams_) {
            workers.emplace_back([this, &stream](std::stop_token inner) {
                TargetWorker(session_, stream).run(inner);
            });
        }
        workers.emplace_back([this](std::stop_token inner) { epochs_.keep(inner); });
        if (tells) {
            session_.told_until = 0;
            if (has_parts(session_.geometry) && !proved) {
                session_.parts.emplace(session_.geometry, remembered);
            }
            ++session_.running; // Its messages need the control thread's turns, to the last.
            workers.emplace_back([this, &target, proved](std::stop_token inner) {
                if (proved) {
                    tell_what_is_proved(session_, control_, inner);
                } else {
                    const std::unique_ptr<Disk> medium = destination_.open_medium();
                    tell_what_is_there(*medium, target.worth_reading, session_, control_, inner);
                }
                --session_.running;
            });
        }
        std::optional<RootMessage> end;
        workers.emplace_back([&](std::stop_token inner) {
            while (session_.running > 0 || !end) {
                if (const std::optional<Message> message = control_.turn(inner)) {
                    if (message->type == FrameType::credit && tells) {
                        session_.credit = parse_credit(message->payload).until;
                    } else if (message->type == FrameType::end && !end) {
                        end = parse_root(message->payload);
                    } else {
                        throw protocol_error(
                            fmt::format("{} where END was due", frame_name(message->type)));
                    }
                }
                tell_progress();
            }
        });
        run_workers(stop, std::move(workers));
        return *end;
    }

    Sha256 check_root(const RootMessage& end) const {
        if (const std::uint64_t missing = session_.arrivals.missing(); missing > 0) {
            throw Error(fmt::format("the source ended with {} of {} blocks missing", missing,
                                    session_.geometry.block_count()),
                        "the copy is not good: clone again");
        }
        const Sha256 root = root_of(session_.geometry, session_.leaves);
        if (hex(root) != end.root) {
            throw Error(
                fmt::format("the roots differ: {} here, {} on the source", hex(root), end.root),
                "the copy is not good: clone again");
        }
        return root;
    }

    /// The last epoch, and the proof that the medium has it all.
    void make_sure(std::stop_token stop) {
        ask_again(session_.take_wanted(), stop);
        epochs_.end_one(stop);
        tell_progress();
        if (options_.read_back == ReadBack::no) {
            return;
        }
        const std::unique_ptr<Disk> medium = destination_.open_medium();
        VerifyReport report = verify(*medium, session_.geometry, session_.leaves, progress_, stop);
        if (!report.wrong.empty()) {
            report.wrong = fetch_again(report.wrong, stop);
        }
        require_intact(report);
    }

private:
    /// Asks for blocks once more, whole.
    void ask_again(const std::vector<Range>& ranges, const std::stop_token& stop) {
        if (ranges.empty()) {
            return;
        }
        TargetWorker worker(session_, streams_.front());
        for (Range rest : ranges) {
            while (rest.length > 0) {
                const Range part{rest.offset, std::min<std::uint64_t>(rest.length, largest_range)};
                control_.post({FrameType::want, {}, part}, stop);
                worker.take_again(part, stop);
                rest = {part.end(), rest.length - part.length};
            }
        }
    }

    /// Asks once more for blocks that did not read back right. Returns what is wrong even then.
    std::vector<Range> fetch_again(const std::vector<Range>& wrong, std::stop_token stop) {
        ask_again(wrong, stop);
        session_.disk.flush();
        const std::unique_ptr<Disk> medium = destination_.open_medium();
        std::vector<Range> still_wrong;
        for (const Range& range : wrong) {
            const std::vector<Range> found =
                verify_range(*medium, session_.geometry, session_.leaves, range);
            still_wrong.insert(still_wrong.end(), found.begin(), found.end());
        }
        return still_wrong;
    }

    void tell_progress() {
        progress_({session_.counters.bytes_done, session_.geometry.size, control_.limit(), name_});
    }

    TargetSession& session_;
    Destination& destination_;
    Control& control_;
    std::vector<Channel>& streams_;
    const ReceiveOptions& options_;
    std::string_view name_;
    const ProgressSink& progress_;
    Epochs epochs_;
};

void start(std::optional<TargetSession>& session, Disk& target, const DiskMessage& disk) {
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
Manifest make_manifest(TargetSession& session, const Sha256& root, const DiskFacts& source,
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
    manifest.unreadable = session.unreadable();
    manifest.leaves = std::move(session.leaves);
    return manifest;
}

} // namespace

namespace {

/// A meeting with a source, from HELLO to the last DONE.
class Taking {
public:
    Taking(std::span<TargetDisk> disks, Peers& peers, const ReceiveOptions& options,
           const ProgressSink& progress, Peers::Control opened)
        : peers_(peers), options_(options), progress_(progress), agreement_(opened.agreement),
          control_(std::move(opened.channel), Role::target, opened.agreement.streams, idle_) {
        for (TargetDisk& disk : disks) {
            if (!disk.report) {
                due_.push_back({.disk = &disk});
            }
        }
    }

    void take(const std::stop_token& stop) {
        try {
            choose(stop);
            for (Due& due : due_) {
                take_one(due, &due != &due_.back(), stop);
            }
        } catch (const Error& error) {
            control_.give_up(error, streams_, stop);
        } catch (const std::exception& error) {
            control_.give_up(Error(fmt::format("unexpected: {}", error.what())), streams_, stop);
        }
    }

private:
    struct Due {
        TargetDisk* disk = nullptr;
        unsigned number = 0; ///< of the source
        DiskMessage source;
        Destination::Opened target;
    };

    void choose(const std::stop_token& stop) {
        std::vector<DiskMessage> offered;
        std::vector<DiskFacts> facts;
        std::vector<TableRegions> tables;
        do {
            if (offered.size() == most_disks) {
                throw Error(fmt::format("the source offers more than {} disks", most_disks));
            }
            offered.push_back(parse_disk(control_.expect(FrameType::disk, stop)));
            facts.push_back(offered.back().facts);
            tables.push_back(
                offered.back().table
                    ? parse_regions(control_.expect(FrameType::table, stop), facts.back().size)
                    : TableRegions());
        } while (!offered.back().last);
        const std::string inventory =
            std::ranges::any_of(offered, &DiskMessage::inventory) ? take_inventory(stop) : "";
        for (Due& due : due_) {
            const std::size_t number = find_wanted(due.disk->wanted, facts);
            const auto same = [number](const Due& other) {
                return other.source.facts.size != 0 && other.number == number;
            };
            if (std::ranges::any_of(due_, same)) {
                throw usage_error(fmt::format("'{}' is asked for twice", facts[number].name),
                                  "give each disk one target");
            }
            due.number = static_cast<unsigned>(number);
            due.source = offered[number];
        }
        for (Due& due : due_) {
            due.disk->destination->told_table(std::move(tables[due.number]));
            due.disk->destination->told_inventory(due.source.inventory ? inventory : "");
            keep_alive_while( // A generation may have to be copied first.
                control_,
                [&due](std::stop_token) {
                    due.target = due.disk->destination->open(
                        due.source.facts, {due.source.facts.size, due.source.block_size});
                },
                stop);
        }
    }

    std::string take_inventory(const std::stop_token& stop) {
        if (!agreement_.inventory) {
            throw protocol_error("an INVENTORY that was not agreed on");
        }
        std::string inventory = control_.expect(FrameType::inventory, stop);
        check_inventory(inventory);
        return inventory;
    }

    void take_one(Due& due, bool more, const std::stop_token& stop) {
        control_.begin_disk(idle_);
        streams_.clear();
        Destination& destination = *due.disk->destination;
        const DiskFacts& source = due.source.facts;
        start(session_, *due.target.disk, due.source);
        bool proved = false;
        if (due.target.mode == CopyMode::delta) {
            keep_alive_while(
                control_,
                [&](std::stop_token) {
                    if (auto leaves = destination.prove(*due.target.disk, session_->geometry);
                        !leaves.empty()) {
                        session_->leaves = std::move(leaves);
                        proved = true;
                    }
                },
                stop);
        }
        control_.count(session_->counters);
        const std::vector<std::byte> id = random_bytes(16);
        const PlanMessage plan{
            to_hex(std::string_view(reinterpret_cast<const char*>(id.data()), id.size())),
            agreement_.streams,
            due.target.mode,
            due.number,
            more,
            !due.target.unwanted.empty()};
        control_.send(FrameType::plan, encode(plan), stop);
        if (plan.unwanted) {
            control_.send(FrameType::unwanted, encode_ranges(due.target.unwanted), stop);
        }
        static_cast<void>(control_.expect(FrameType::ready, stop));
        destination.begin();
        open_streams(peers_, plan, Role::target, control_, streams_, stop);
        const bool several = more || due_.size() > 1;
        Receiving receiving(*session_, destination, control_, streams_, options_,
                            several ? source.name : std::string_view(), progress_);
        const RootMessage end = receiving.copy(due.target, proved, stop);
        const Sha256 root = receiving.check_root(end);
        const std::vector<Range> unreadable = session_->unreadable();
        bool kept = false;
        try {
            keep_alive_while(
                control_,
                [&](std::stop_token inner) {
                    receiving.make_sure(inner);
                    Manifest manifest = make_manifest(*session_, root, source, options_.program);
                    manifest.full_copy_ms = due.target.mode == CopyMode::full
                                                ? control_.milliseconds()
                                                : due.target.full_copy_ms;
                    destination.keep(std::move(manifest));
                    kept = true;
                },
                stop);
            control_.send(FrameType::done, encode(RootMessage{hex(root), 0, due.number}), stop);
        } catch (const Error&) {
            // Whole, durable and named in its manifest: that the source can no more be told does
            // not make it another copy.
            if (!kept) {
                throw;
            }
        }
        CopyReport report = control_.report(session_->geometry, root, streams_);
        report.unreadable = unreadable;
        report.resumed = due.target.mode == CopyMode::resume;
        report.reclone = due.target.mode == CopyMode::delta;
        report.trusted = proved;
        report.full_copy_ms = due.target.full_copy_ms;
        report.verified = options_.read_back == ReadBack::yes;
        due.disk->report = std::move(report);
        control_.begin_disk(idle_);
        session_.reset();
        due.target.disk.reset();
    }

    Peers& peers_;
    const ReceiveOptions& options_;
    const ProgressSink& progress_;
    Agreement agreement_;
    Counters idle_;
    std::vector<Due> due_;
    std::optional<TargetSession> session_; ///< of the disk that is under way
    std::vector<Channel> streams_;         ///< likewise
    Control control_;
};

} // namespace

void receive_disks(std::span<TargetDisk> disks, Peers& peers, const ReceiveOptions& options,
                   const ProgressSink& progress, std::stop_token stop) {
    const Hello hello{.program = options.program,
                      .role = Role::target,
                      .streams = streams_for(options.streams),
                      .features = {"zstd", "inventory"}};
    Taking(disks, peers, options, progress, peers.open_control(hello, stop)).take(stop);
}

CopyReport receive_disk(Peers& peers, const ReceiveOptions& options, Destination& destination,
                        const ProgressSink& progress, std::stop_token stop) {
    TargetDisk only{.destination = &destination};
    receive_disks(std::span(&only, 1), peers, options, progress, std::move(stop));
    return std::move(*only.report);
}

} // namespace coldspare::clone
