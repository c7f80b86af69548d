#pragma once

#include "base/clock.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// Bytes per second; nothing: as fast as it goes.
using Rate = std::optional<std::uint64_t>;

inline constexpr std::uint64_t smallest_rate = 1024;                   ///< 1 KiB/s
inline constexpr std::uint64_t largest_rate = std::uint64_t{1} << 40U; ///< 1 TiB/s

/// How fast a session may send, by the time of day.
class RateLimit {
public:
    /// No limit.
    RateLimit() = default;

    /// Reads what `--limit` was given: a rate (`20MiB`, `20MiB/s`, `max`) or a schedule of windows
    /// and rates (`08:00-18:00=20MiB,*=max`). A rate is a whole number with KiB, MiB, GiB (1024) or
    /// KB, MB, GB (1000), at least smallest_rate and at most largest_rate. A window begins with its
    /// first minute and ends before its last one; it may pass midnight (`22:00-06:00`), and 24:00
    /// is midnight as an end. The first window that holds the time wins; `*` is the rest of the
    /// day, stands last, and is max if it is left out. Throws usage_error with the column.
    [[nodiscard]] static RateLimit parse(std::string_view text);

    /// The rate at a minute of the day (0 to 1439).
    [[nodiscard]] Rate at(unsigned minute_of_day) const;

    /// Whether it is max all day.
    [[nodiscard]] bool unlimited() const;

private:
    struct Window {
        unsigned from = 0; ///< minute of the day
        unsigned to = 0;   ///< the minute after it; below `from` if it passes midnight
        Rate rate;
        [[nodiscard]] bool holds(unsigned minute) const;
    };

    std::vector<Window> windows_;
    Rate rest_;
};

/// The time of day here, in minutes since midnight: what the wall clock says, so that a window
/// follows daylight saving time. UTC on a live image that knows no time zone.
[[nodiscard]] unsigned local_minute_of_day();

/// What a TokenBucket knows of time. A test gives one that it moves itself.
struct Timing {
    std::function<TimePoint()> now;
    std::function<unsigned()> minute_of_day;
    /// Blocks for that long, or until a stop is asked for.
    std::function<void(std::chrono::nanoseconds, std::stop_token)> sleep;
};

/// The real clock and the real wait, which a stop ends at once.
[[nodiscard]] Timing real_timing();

/// Shares one limit between all workers of a session; any thread may call. Who comes first is
/// served first. What was left unused is kept for burst_time and no longer, so that within any span
/// of t seconds at one rate at most rate * (t + 0.1) bytes pass. Bytes are paid for before they
/// pass, however many they are: a block of 256 KiB at 1 KiB/s waits for 256 seconds.
class TokenBucket {
public:
    static constexpr std::chrono::milliseconds burst_time{100};
    /// How often the schedule is asked, at least: how late a change of the limit may be.
    static constexpr std::chrono::seconds look_up_every{1};

    explicit TokenBucket(RateLimit limit, Timing timing = real_timing());

    /// Takes `bytes` and says how long to wait before they may be sent, at the rate in force now.
    /// Does not block.
    [[nodiscard]] std::chrono::nanoseconds take(std::uint64_t bytes);

    /// Takes `bytes` and blocks until they may be sent. Follows the schedule while it waits: one
    /// that waits behind 1 KiB/s goes on when the limit becomes max. Throws interrupted() within
    /// 100 ms of a stop; what it took stays taken.
    void pace(std::uint64_t bytes, std::stop_token stop);

private:
    /// A place in the queue: how much had been taken from the bucket, with what the caller took.
    [[nodiscard]] std::uint64_t queue_up(std::uint64_t bytes);
    [[nodiscard]] std::chrono::nanoseconds wait_for(std::uint64_t place);
    void refill();

    RateLimit limit_;
    Timing timing_;
    std::mutex mutex_;
    Rate rate_;               ///< in force since looked_up_
    TimePoint looked_up_;     ///< when the schedule was asked last
    TimePoint filled_;        ///< up to when credit_ is counted
    double credit_ = 0;       ///< bytes that may pass, or below zero what is owed
    std::uint64_t taken_ = 0; ///< by all callers together
};

} // namespace coldspare::clone
