#pragma once

#include "base/error.hpp"
#include "clone/io_sizes.hpp"
#include "clone/receiver.hpp"
#include "clone/sender.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/faulty_disk.hpp"
#include "tests/support/loopback.hpp"
#include "tests/support/memory_disk.hpp"

#include <functional>
#include <optional>
#include <stop_token>
#include <thread>

/// Whole sessions over loopback, each side in a thread of its own.
namespace coldspare::clone {

enum class Listening { target, source };

struct SessionOptions {
    unsigned streams = 1;
    Security security;
    Listening listening = Listening::target;
    Compression compression;
    std::uint32_t block_size = default_block_size;
    ReadBack read_back = ReadBack::no;
    OnReadError on_read_error = OnReadError::skip;
    std::vector<Range> free;          ///< of the source
    std::vector<Range> durable;       ///< what an earlier run has left on the target
    CopyMode mode = CopyMode::resume; ///< if something is durable
    std::vector<Leaf> proved;         ///< of the target, with mode delta
    EpochLength epoch;
    RateLimit limit;
    Faults source_faults;
    Faults target_faults;
    std::function<void()> before_writing; ///< the target's opener: may throw a refusal
    std::function<void()> before_free;    ///< the source is about to ask what is free
    std::string inventory;                ///< that the source tells
    std::stop_token stop_source;
    std::stop_token stop_target;
};

/// How the two sides of a session ended.
struct Outcome {
    std::optional<CopyReport> sent;
    std::optional<CopyReport> received;
    std::optional<Error> source_error;
    std::optional<Error> target_error;
    std::optional<Manifest> manifest;
    std::string inventory; ///< that the target was told
    bool flushed_before_manifest = false;
    std::vector<Range> recorded;    ///< as durable, in the order of the epochs
    std::vector<Range> earlier;     ///< was recorded by an earlier run
    std::vector<Range> not_durable; ///< of recorded: what was not on the medium then
    unsigned epochs = 0;

    /// Neither side says that it succeeded, and nothing vouches for the target.
    [[nodiscard]] bool failed_on_both_sides() const {
        return source_error && target_error && !sent && !received && !manifest;
    }
};

inline CopyReport run_source(MemoryDisk& disk, Peers& peers, const SessionOptions& options) {
    FaultyDisk faulty(disk, options.source_faults);
    const bool tells = !options.inventory.empty();
    SourceDisk only{.disk = &faulty, .inventoried = tells};
    send_disks(
        std::span(&only, 1), peers,
        {.program = "coldspare test",
         .streams = options.streams,
         .compression = options.compression,
         .block_size = options.block_size,
         .on_read_error = options.on_read_error,
         .limit = options.limit,
         .find_free =
             [&](const DiskFacts&, std::stop_token) {
                 if (options.before_free) {
                     options.before_free();
                 }
                 return options.free;
             },
         .inventory = tells ? [&] { return options.inventory; } : std::function<std::string()>()},
        [](const Progress&) {}, options.stop_source);
    return std::move(*only.report);
}

/// A place for a copy in memory, with a book of what was asked of it.
class MemoryDestination : public Destination {
public:
    MemoryDestination(MemoryDisk& disk, const SessionOptions& options, Outcome& outcome)
        : disk_(disk), options_(options), outcome_(outcome) {}

    void told_inventory(std::string_view inventory) override { outcome_.inventory = inventory; }
    [[nodiscard]] Opened open(const DiskFacts&, const Geometry&) override {
        if (options_.before_writing) {
            options_.before_writing();
        }
        outcome_.earlier = options_.durable;
        return {.disk = std::make_unique<FaultyDisk>(disk_, options_.target_faults),
                .mode = options_.durable.empty() ? CopyMode::full : options_.mode,
                .worth_reading = options_.durable};
    }
    [[nodiscard]] std::vector<Leaf> prove(Disk&, const Geometry&) override {
        return options_.proved;
    }
    void begin() override {}
    void record(std::span<const Range> durable) override {
        ++outcome_.epochs;
        for (const Range& range : durable) {
            outcome_.recorded.push_back(range);
            // What travelled as SAME was there before.
            if (!disk_.on_medium(range, options_.durable)) {
                outcome_.not_durable.push_back(range);
            }
        }
    }
    [[nodiscard]] std::unique_ptr<Disk> open_medium() override {
        return std::make_unique<FaultyDisk>(disk_, options_.target_faults);
    }
    void keep(Manifest manifest) override {
        outcome_.flushed_before_manifest = disk_.flushed();
        outcome_.manifest = std::move(manifest);
    }

private:
    MemoryDisk& disk_;
    const SessionOptions& options_;
    Outcome& outcome_;
};

inline CopyReport run_target(MemoryDisk& disk, Peers& peers, const SessionOptions& options,
                             Outcome& outcome) {
    MemoryDestination destination(disk, options, outcome);
    return receive_disk(
        peers,
        {.program = "coldspare test",
         .streams = options.streams,
         .read_back = options.read_back,
         .epoch = options.epoch},
        destination, [](const Progress&) {}, options.stop_target);
}

/// Requires that both sides say that the copy is good, and that `target` begins with `expected`.
inline void require_copied(const Outcome& outcome, const MemoryDisk& target,
                           std::span<const std::byte> expected) {
    // Both: the one that fails first makes the other one lose its connection.
    if (outcome.source_error || outcome.target_error) {
        FAIL("source: ", outcome.source_error ? outcome.source_error->message() : "well",
             "; target: ", outcome.target_error ? outcome.target_error->message() : "well");
    }
    REQUIRE(outcome.sent.has_value());
    REQUIRE(outcome.received.has_value());
    REQUIRE(outcome.manifest.has_value());
    CHECK(same_bytes(std::span(target.content()).first(expected.size()), expected));
    CHECK(outcome.flushed_before_manifest);
    CHECK(outcome.sent->root == outcome.received->root);
    CHECK(outcome.manifest->root == outcome.sent->root);
    CHECK(outcome.sent->bytes_same == outcome.received->bytes_same);
    CHECK(outcome.sent->bytes_sent == outcome.received->bytes_sent);
    CHECK(outcome.sent->unreadable == outcome.received->unreadable);
    CHECK(outcome.manifest->unreadable == outcome.sent->unreadable);
    CHECK(outcome.sent->resumed == outcome.received->resumed);
    CHECK(outcome.sent->reclone == outcome.received->reclone);
    CHECK(outcome.sent->blocks_sent == outcome.received->blocks_sent);
    std::vector<Range> durable = outcome.recorded;
    durable.insert(durable.end(), outcome.earlier.begin(), outcome.earlier.end());
    CHECK(joined(std::move(durable)) == std::vector<Range>{{0, expected.size()}});
    CHECK(outcome.not_durable.empty());
}

/// Copies `source` to `target` and returns when both sides have ended.
inline Outcome run_session(MemoryDisk& source, MemoryDisk& target,
                           const SessionOptions& options = {}) {
    Listener listener = loopback_listener();
    const Address address = listener.address();
    const Notice quiet = [](std::string_view) {};
    const std::unique_ptr<Peers> there =
        listening_peers(std::move(listener), options.security, std::chrono::seconds(0), quiet);
    const std::unique_ptr<Peers> here =
        connecting_peers(address, options.security, std::chrono::seconds(5), quiet);
    const bool target_listens = options.listening == Listening::target;
    Outcome outcome;
    std::jthread receiving([&] {
        try {
            outcome.received =
                run_target(target, target_listens ? *there : *here, options, outcome);
        } catch (const Error& error) {
            outcome.target_error = error;
        }
    });
    try {
        outcome.sent = run_source(source, target_listens ? *here : *there, options);
    } catch (const Error& error) {
        outcome.source_error = error;
    }
    receiving.join();
    return outcome;
}

} // namespace coldspare::clone
