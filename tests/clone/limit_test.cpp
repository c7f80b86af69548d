#include "clone/limit.hpp"

#include "base/error.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace coldspare::clone {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t gib = 1024 * mib;

/// A clock that stands still until somebody moves it: the test, or who sleeps.
struct ManualTime {
    TimePoint now{std::chrono::hours(1)};
    unsigned minute = 0;

    [[nodiscard]] Timing timing() {
        return {[this] { return now; }, [this] { return minute; },
                [this](nanoseconds duration, std::stop_token) { now += duration; }};
    }
};

/// What passes in 10 seconds if somebody sends `piece` after `piece`, as soon as each may go.
std::uint64_t passed_in_ten_seconds(TokenBucket& bucket, ManualTime& time, std::uint64_t piece) {
    const TimePoint end = time.now + seconds(10);
    std::uint64_t passed = 0;
    for (;;) {
        const nanoseconds wait = bucket.take(piece);
        time.now += wait;
        if (time.now > end) {
            return passed;
        }
        passed += piece;
    }
}

} // namespace

TEST_CASE("a limit is a number with a unit, per second") {
    const std::vector<std::pair<std::string_view, Rate>> table{{"20MiB", 20 * mib},
                                                               {"20MiB/s", 20 * mib},
                                                               {"1KiB", 1024},
                                                               {"3GiB", 3 * gib},
                                                               {"2KB", 2000},
                                                               {"100MB/s", 100'000'000},
                                                               {"10GB", 10'000'000'000},
                                                               {"1024GiB", largest_rate},
                                                               {"max", std::nullopt}};
    for (const auto& [text, rate] : table) {
        CAPTURE(text);
        const RateLimit limit = RateLimit::parse(text);
        CHECK(limit.at(0) == rate);
        CHECK(limit.at(1439) == rate);
        CHECK(limit.unlimited() == !rate.has_value());
    }
    CHECK(RateLimit().unlimited());
}

TEST_CASE("a window of a schedule holds its first minute and not its last") {
    const RateLimit limit = RateLimit::parse("08:00-18:00=20MiB,*=max");
    CHECK(limit.at(8 * 60 - 1) == std::nullopt);
    CHECK(limit.at(8 * 60) == 20 * mib);
    CHECK(limit.at(18 * 60 - 1) == 20 * mib);
    CHECK(limit.at(18 * 60) == std::nullopt);
    CHECK_FALSE(limit.unlimited());
}

TEST_CASE("a window of a schedule may pass midnight") {
    const RateLimit limit = RateLimit::parse("22:30-6:00=max,*=5MB/s");
    CHECK(limit.at(22 * 60 + 29) == 5'000'000);
    CHECK(limit.at(22 * 60 + 30) == std::nullopt);
    CHECK(limit.at(0) == std::nullopt);
    CHECK(limit.at(6 * 60 - 1) == std::nullopt);
    CHECK(limit.at(6 * 60) == 5'000'000);
    const RateLimit evening = RateLimit::parse("18:00-24:00=1MiB");
    CHECK(evening.at(1439) == mib);
    CHECK(evening.at(0) == std::nullopt);
    const RateLimit from_midnight = RateLimit::parse("00:00-24:00=1MiB");
    CHECK(from_midnight.at(0) == mib);
    CHECK(from_midnight.at(1439) == mib);
}

TEST_CASE("the first window that holds the time wins, and the rest is max unless it is said") {
    const RateLimit limit = RateLimit::parse("12:00-13:00=50MiB,08:00-18:00=20MiB");
    CHECK(limit.at(12 * 60) == 50 * mib);
    CHECK(limit.at(13 * 60) == 20 * mib);
    CHECK(limit.at(19 * 60) == std::nullopt);
    CHECK(RateLimit::parse("08:00-18:00=20MiB,*=1GiB").at(0) == gib);
    CHECK(RateLimit::parse("*=1GiB").at(0) == gib);
    CHECK(RateLimit::parse("08:00-18:00=max").unlimited());
}

TEST_CASE("a limit that cannot be read is wrong usage with its column") {
    const std::vector<std::pair<std::string, std::string>> table{
        {"", "column 1: a rate, or 'max', expected"},
        {"fast", "column 1: a rate, or 'max', expected"},
        {"20", "column 3: KiB, MiB, GiB, KB, MB or GB expected after the number"},
        {"20M", "column 3: KiB, MiB, GiB, KB, MB or GB expected after the number"},
        {"20Mb", "column 3: KiB, MiB, GiB, KB, MB or GB expected after the number"},
        {"20MiB/h", "column 6: the end expected after the rate"},
        {"20MiB,", "column 6: the end expected after the rate"},
        {"maximum", "column 4: the end expected after the rate"},
        {"0KiB", "column 1: a rate below 1KiB"},
        {"1KB", "column 1: a rate below 1KiB"},
        {"1025GiB", "column 1: a rate above 1024GiB: write 'max' for no limit"},
        {"9999999999999GiB", "column 1: a rate above 1024GiB: write 'max' for no limit"},
        {"99999999999999KiB", "column 1: a rate, or 'max', has more than 13 digits"},
        {"8-18=20MiB", "column 2: ':' expected after the hour"},
        {"08:00=20MiB", "column 6: '-' expected between two times"},
        {"08:60-18:00=20MiB", "column 1: there is no such time of day"},
        {"08:00-24:01=20MiB", "column 7: there is no such time of day"},
        {"008:00-18:00=1MiB", "column 1: a time like 08:00 has more than 2 digits"},
        {"24:00-01:00=1MiB", "column 1: a window that begins at midnight begins at 00:00"},
        {"08:00-08:00=1MiB", "column 1: a window of no length: write '*' for the whole day"},
        {"08:00-18:00:20MiB,*=max", "column 12: '=' expected before the rate"},
        {"08:00-18:00=", "column 13: a rate, or 'max', expected"},
        {"08:00-18:00=20MiB,", "column 19: a time like 08:00 expected"},
        {"08:00-18:00=20MiB;*=max", "column 18: ',' expected between two windows"},
        {"*=max,08:00-18:00=20MiB",
         "column 6: '*' is the rest of the day, so nothing can follow it"}};
    for (const auto& [text, complaint] : table) {
        CAPTURE(text);
        const Error error =
            thrown_by([&, &text = text] { static_cast<void>(RateLimit::parse(text)); });
        CHECK(error.message() == "--limit '" + text + "', " + complaint);
        CHECK(error.hint() ==
              "for example --limit 20MiB, or --limit '08:00-18:00=20MiB,*=max' (local time)");
        CHECK(error.status() == ExitStatus::usage);
    }
}

TEST_CASE("a rate is kept within 2 % over 10 seconds") {
    const std::vector<std::pair<std::string_view, std::uint64_t>> table{
        {"1KiB", 7},     {"1KiB", 100},      {"20MiB", 4 * kib},   {"20MiB", 256 * kib},
        {"3MB", 12'345}, {"10GiB", 4 * mib}, {"1024GiB", 64 * mib}};
    for (const auto& [text, piece] : table) {
        CAPTURE(text);
        CAPTURE(piece);
        ManualTime time;
        const RateLimit limit = RateLimit::parse(text);
        TokenBucket bucket(limit, time.timing());
        const auto expected = static_cast<double>(*limit.at(0)) * 10;
        const auto first = static_cast<double>(passed_in_ten_seconds(bucket, time, piece));
        CHECK(first > expected * 0.98);
        CHECK(first <= expected * 1.02);
        // Nor is an idle hour made up for.
        time.now += std::chrono::hours(1);
        const auto second = static_cast<double>(passed_in_ten_seconds(bucket, time, piece));
        CHECK(second > expected * 0.98);
        CHECK(second <= expected * 1.02);
    }
}

TEST_CASE("a rate is kept by callers that ask every nanosecond") {
    ManualTime time;
    TokenBucket bucket(RateLimit::parse("1KiB"), time.timing());
    for (int i = 0; i < 1'000'000; ++i) {
        static_cast<void>(bucket.take(0));
        time.now += nanoseconds(1);
    }
    // A millisecond has passed: 1.024 bytes.
    CHECK(bucket.take(1).count() == 0);
    const nanoseconds wait = bucket.take(1);
    CHECK(wait > nanoseconds(953'000));
    CHECK(wait < nanoseconds(954'000));
}

TEST_CASE("what was not used is kept for 100 ms and no longer") {
    ManualTime time;
    TokenBucket bucket(RateLimit::parse("10MiB"), time.timing());
    CHECK(bucket.take(mib) == milliseconds(100));
    time.now += std::chrono::hours(24);
    CHECK(bucket.take(mib).count() == 0);
    CHECK(bucket.take(mib) == milliseconds(100));
}

TEST_CASE("workers share a limit and wait in the order in which they came") {
    ManualTime time;
    TokenBucket bucket(RateLimit::parse("1MiB"), time.timing());
    CHECK(bucket.take(mib) == seconds(1));
    CHECK(bucket.take(2 * mib) == seconds(3));
    CHECK(bucket.take(mib) == seconds(4));
}

TEST_CASE("a block that is larger than the burst waits until it is paid for") {
    ManualTime time;
    TokenBucket bucket(RateLimit::parse("1KiB"), time.timing());
    const TimePoint start = time.now;
    bucket.pace(256 * kib, {});
    CHECK(time.now - start == seconds(256));
}

TEST_CASE("a limit that becomes max lets those go on who wait, within a second") {
    ManualTime time;
    time.minute = 17 * 60 + 59;
    Timing timing = time.timing();
    int naps = 0;
    timing.sleep = [&](nanoseconds duration, std::stop_token) {
        CHECK(duration <= seconds(1));
        time.now += duration;
        if (++naps == 5) {
            time.minute = 18 * 60;
        }
    };
    TokenBucket bucket(RateLimit::parse("08:00-18:00=1KiB,*=max"), timing);
    const TimePoint start = time.now;
    bucket.pace(256 * kib, {});
    CHECK(naps == 5);
    CHECK(time.now - start == seconds(5));
    bucket.pace(gib, {});
    CHECK(time.now - start == seconds(5));
}

TEST_CASE("a limit that begins finds nothing saved") {
    ManualTime time;
    time.minute = 8 * 60 - 1;
    TokenBucket bucket(RateLimit::parse("08:00-18:00=1MiB"), time.timing());
    CHECK(bucket.take(100 * gib).count() == 0);
    time.now += seconds(60);
    time.minute = 8 * 60;
    CHECK(bucket.take(mib) == seconds(1));
}

TEST_CASE("a debt is paid at the new rate when the rate changes") {
    ManualTime time;
    time.minute = 8 * 60 - 1;
    TokenBucket bucket(RateLimit::parse("08:00-18:00=1MiB,*=2MiB"), time.timing());
    CHECK(bucket.take(10 * mib) == seconds(5));
    time.now += seconds(1);
    time.minute = 8 * 60;
    // 8 MiB are still owed.
    CHECK(bucket.take(0) == seconds(8));
}

TEST_CASE("a bucket without a limit never waits") {
    ManualTime time;
    TokenBucket bucket(RateLimit(), time.timing());
    for (int i = 0; i < 100; ++i) {
        CHECK(bucket.take(~std::uint64_t{0} / 2).count() == 0);
    }
}

TEST_CASE("an absurd amount waits for a long time and not for a negative one") {
    ManualTime time;
    TokenBucket bucket(RateLimit::parse("1KiB"), time.timing());
    CHECK(bucket.take(~std::uint64_t{0} / 2) == std::chrono::hours(24 * 365));
}

TEST_CASE("a stop ends the wait for a limit") {
    TokenBucket bucket(RateLimit::parse("1KiB"));
    std::stop_source source;
    std::latch waiting(1);
    Clock::time_point stopped;
    std::jthread stopper([&] {
        waiting.wait();
        stopped = Clock::now();
        source.request_stop();
    });
    waiting.count_down();
    const Error error = thrown_by([&] { bucket.pace(64 * mib, source.get_token()); });
    CHECK(error.status() == ExitStatus::interrupted);
    stopper.join();
    CHECK(Clock::now() - stopped < seconds(60)); // of the 18 hours that are asked for
}

TEST_CASE("threads that share a limit together pass what it allows") {
    constexpr int workers = 4;
    constexpr int rounds = 25;
    const Clock::time_point start = Clock::now();
    TokenBucket bucket(RateLimit::parse("100MB"));
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < workers; ++i) {
            threads.emplace_back([&bucket] {
                for (int round = 0; round < rounds; ++round) {
                    bucket.pace(100'000, {});
                }
            });
        }
    }
    // 10 MB take 100 ms, however many ask; how much longer is up to the machine.
    CHECK(Clock::now() - start >= milliseconds(99));
}

TEST_CASE("the time of day is one") {
    CHECK(local_minute_of_day() < 24 * 60);
}

} // namespace coldspare::clone
