#pragma once

#include "clone/blocks.hpp"
#include "clone/digest.hpp"
#include "clone/range.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// How far a copy is. `limit` is what it waits for most: "source", "network", "target", or empty
/// while that cannot be told yet.
struct Progress {
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    std::string_view limit;
    std::string_view disk{}; ///< the source's name for it, where there are several
};

/// Called many times a second, from one thread at a time.
using ProgressSink = std::function<void(const Progress&)>;

/// What the workers of one side count together.
struct Counters {
    std::atomic<std::uint64_t> bytes_done{0};    ///< source: handed over; target: durable
    std::atomic<std::uint64_t> bytes_read{0};    ///< source: from its disk
    std::atomic<std::uint64_t> bytes_zero{0};    ///< in zero blocks that the target had not
    std::atomic<std::uint64_t> bytes_same{0};    ///< that the target had already
    std::atomic<std::uint64_t> bytes_skipped{0}; ///< source: not used, not read, and not there yet
    std::atomic<std::uint64_t> bytes_sent{0};    ///< that travelled, before packing
    std::atomic<std::uint64_t> blocks_sent{0};   ///< that travelled as DATA or PARTS
    std::atomic<std::uint64_t> io_ns{0};         ///< workers' time spent waiting for the disk
    std::atomic<std::uint64_t> net_ns{0};        ///< workers' time spent waiting for the network
};

/// Adds the time of its life to a counter.
class Stopwatch {
public:
    explicit Stopwatch(std::atomic<std::uint64_t>& counter)
        : counter_(counter), started_(std::chrono::steady_clock::now()) {}
    ~Stopwatch() {
        const auto spent = std::chrono::steady_clock::now() - started_;
        counter_.fetch_add(static_cast<std::uint64_t>(
                               std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()),
                           std::memory_order_relaxed);
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

private:
    std::atomic<std::uint64_t>& counter_;
    std::chrono::steady_clock::time_point started_;
};

/// The share of time (0 to 1) that each side's workers did not wait for the network.
struct Business {
    double source = 0;
    double target = 0;
};

/// Which of the three holds the copy up: a side that is busy more than 70 % of the time, the busier
/// one if both are; else the network.
[[nodiscard]] constexpr std::string_view limit_of(Business busy) {
    constexpr double mostly = 0.7;
    if (busy.source >= mostly && busy.source >= busy.target) {
        return "source";
    }
    return busy.target >= mostly ? "target" : "network";
}

/// What a finished copy was, on either side. Bytes are of the disk except `bytes_wire`.
struct CopyReport {
    Geometry geometry;
    Sha256 root{};
    std::uint64_t bytes_read = 0; ///< source: from the disk; target: 0
    std::uint64_t bytes_zero = 0;
    std::uint64_t bytes_same = 0;    ///< that the target had, of an interrupted run or a clone
    std::uint64_t bytes_skipped = 0; ///< source: not read, because no file system uses them
    std::uint64_t bytes_sent = 0;    ///< that travelled as data
    std::uint64_t bytes_wire = 0;    ///< on all connections, both ways, before TLS's own
    std::uint64_t blocks_sent = 0;   ///< that travelled, whole or in parts
    std::vector<Range> unreadable;   ///< what the source could not read; zeros on the target
    double seconds = 0;
    bool resumed = false; ///< an interrupted run was finished
    bool reclone = false; ///< the target held an earlier clone: only what differs travelled
    bool trusted = false; ///< target: what the earlier clone had was proved, and not read
    std::uint64_t full_copy_ms = 0; ///< target: what a full copy took; 0: nobody knows
    bool verified = false;          ///< target: the medium was read back and is right
};

} // namespace coldspare::clone
