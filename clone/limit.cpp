// A limit as text, and a bucket that fills at its rate. The bucket counts bytes and not times at
// which something may be sent: a debt in bytes stays right when the rate changes below it.
#include "clone/limit.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <ctime>
#include <utility>

namespace coldspare::clone {

namespace {

constexpr unsigned minutes_in_a_day = 24 * 60;
constexpr const char* example =
    "for example --limit 20MiB, or --limit '08:00-18:00=20MiB,*=max' (local time)";

struct Unit {
    std::string_view name;
    std::uint64_t bytes;
};
constexpr std::array<Unit, 6> units{{{"KiB", 1ULL << 10U},
                                     {"MiB", 1ULL << 20U},
                                     {"GiB", 1ULL << 30U},
                                     {"KB", 1'000},
                                     {"MB", 1'000'000},
                                     {"GB", 1'000'000'000}}};

/// Reads the text of --limit from left to right and knows where it is.
class LimitParser {
public:
    explicit LimitParser(std::string_view text) : text_(text) {}

    [[nodiscard]] bool at_end() const { return position_ == text_.size(); }
    [[nodiscard]] char next() const { return at_end() ? '\0' : text_[position_]; }
    [[nodiscard]] bool take(std::string_view word) {
        if (!text_.substr(position_).starts_with(word)) {
            return false;
        }
        position_ += word.size();
        return true;
    }
    void expect(std::string_view word, std::string_view what) {
        if (!take(word)) {
            fail(fmt::format("'{}' expected {}", word, what));
        }
    }
    [[nodiscard]] std::size_t position() const { return position_; }

    [[noreturn]] void fail(std::string_view reason) const { fail(reason, position_); }
    [[noreturn]] void fail(std::string_view reason, std::size_t position) const {
        throw usage_error(fmt::format("--limit '{}', column {}: {}", text_, position + 1, reason),
                          example);
    }

    /// Digits, at most `most` of them.
    [[nodiscard]] std::uint64_t number(std::size_t most, std::string_view what) {
        const std::size_t start = position_;
        std::uint64_t value = 0;
        while (next() >= '0' && next() <= '9') {
            value = value * 10 + static_cast<std::uint64_t>(next() - '0');
            ++position_;
            if (position_ - start > most) {
                fail(fmt::format("{} has more than {} digits", what, most), start);
            }
        }
        if (position_ == start) {
            fail(fmt::format("{} expected", what));
        }
        return value;
    }

    [[nodiscard]] Rate rate() {
        if (take("max")) {
            return std::nullopt;
        }
        constexpr std::size_t most_digits = 13; // times 2^30 stays below 2^64
        const std::size_t start = position_;
        const std::uint64_t value = number(most_digits, "a rate, or 'max',");
        const auto* const unit =
            std::ranges::find_if(units, [this](const Unit& each) { return take(each.name); });
        if (unit == units.end()) {
            fail("KiB, MiB, GiB, KB, MB or GB expected after the number");
        }
        static_cast<void>(take("/s"));
        if (value > largest_rate / unit->bytes) {
            fail("a rate above 1024GiB: write 'max' for no limit", start);
        }
        if (value * unit->bytes < smallest_rate) {
            fail("a rate below 1KiB", start);
        }
        return value * unit->bytes;
    }

    /// "HH:MM" as a minute of the day; 24:00 too.
    [[nodiscard]] unsigned time() {
        const std::size_t start = position_;
        const std::uint64_t hour = number(2, "a time like 08:00");
        expect(":", "after the hour");
        const std::uint64_t minute = number(2, "the minute");
        if (minute > 59 || hour * 60 + minute > minutes_in_a_day) {
            fail("there is no such time of day", start);
        }
        return static_cast<unsigned>(hour * 60 + minute);
    }

private:
    std::string_view text_;
    std::size_t position_ = 0;
};

} // namespace

bool RateLimit::Window::holds(unsigned minute) const {
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

RateLimit RateLimit::parse(std::string_view text) {
    RateLimit limit;
    LimitParser parser(text);
    if (text.find('=') == std::string_view::npos) {
        limit.rest_ = parser.rate();
        if (!parser.at_end()) {
            parser.fail("the end expected after the rate");
        }
        return limit;
    }
    for (;;) {
        const bool rest = parser.take("*");
        Window window;
        if (!rest) {
            const std::size_t start = parser.position();
            window.from = parser.time();
            parser.expect("-", "between two times");
            window.to = parser.time();
            if (window.from == minutes_in_a_day) {
                parser.fail("a window that begins at midnight begins at 00:00", start);
            }
            if (window.from == window.to) {
                parser.fail("a window of no length: write '*' for the whole day", start);
            }
        }
        parser.expect("=", "before the rate");
        window.rate = parser.rate();
        if (rest) {
            limit.rest_ = window.rate;
        } else {
            limit.windows_.push_back(window);
        }
        if (parser.at_end()) {
            return limit;
        }
        if (rest) {
            parser.fail("'*' is the rest of the day, so nothing can follow it");
        }
        parser.expect(",", "between two windows");
    }
}

Rate RateLimit::at(unsigned minute_of_day) const {
    const auto window = std::ranges::find_if(
        windows_, [minute_of_day](const Window& each) { return each.holds(minute_of_day); });
    return window == windows_.end() ? rest_ : window->rate;
}

bool RateLimit::unlimited() const {
    return !rest_ &&
           std::ranges::none_of(windows_, [](const Window& each) { return each.rate.has_value(); });
}

unsigned local_minute_of_day() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    if (localtime_r(&now, &parts) == nullptr) {
        return 0;
    }
    return static_cast<unsigned>(parts.tm_hour * 60 + parts.tm_min);
}

Timing real_timing() {
    return {Clock::now, local_minute_of_day,
            [](std::chrono::nanoseconds duration, std::stop_token stop) {
                std::mutex mutex;
                std::condition_variable_any stopped;
                std::unique_lock lock(mutex);
                stopped.wait_for(lock, stop, duration, [] { return false; });
            }};
}

TokenBucket::TokenBucket(RateLimit limit, Timing timing)
    : limit_(std::move(limit)), timing_(std::move(timing)),
      rate_(limit_.at(timing_.minute_of_day())), looked_up_(timing_.now()), filled_(looked_up_) {}

void TokenBucket::refill() {
    const TimePoint now = timing_.now();
    if (rate_) {
        const auto rate = static_cast<double>(*rate_);
        const double most = rate * Seconds(burst_time).count();
        credit_ = std::min(credit_ + rate * Seconds(now - filled_).count(), most);
    }
    filled_ = now;
    if (now - looked_up_ >= look_up_every) {
        rate_ = limit_.at(timing_.minute_of_day());
        looked_up_ = now;
    }
    if (!rate_) {
        credit_ = 0; // nobody owes anything, and a limit that begins finds nothing saved
    }
}

std::uint64_t TokenBucket::queue_up(std::uint64_t bytes) {
    refill();
    taken_ += bytes;
    if (rate_) {
        credit_ -= static_cast<double>(bytes);
    }
    return taken_;
}

std::chrono::nanoseconds TokenBucket::wait_for(std::uint64_t place) {
    refill();
    // Later callers' bytes are owed as well, but not waited for.
    const double owed = -credit_ - static_cast<double>(taken_ - place);
    if (!rate_ || owed <= 0) {
        return std::chrono::nanoseconds(0);
    }
    // A whole year is as good as for ever, and fits.
    constexpr Seconds longest = std::chrono::hours(24 * 365);
    const Seconds wait(owed / static_cast<double>(*rate_));
    return std::chrono::ceil<std::chrono::nanoseconds>(std::min(wait, longest));
}

std::chrono::nanoseconds TokenBucket::take(std::uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    return wait_for(queue_up(bytes));
}

void TokenBucket::pace(std::uint64_t bytes, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    const std::uint64_t place = queue_up(bytes);
    for (;;) {
        const std::chrono::nanoseconds wait = wait_for(place);
        lock.unlock();
        if (stop.stop_requested()) {
            throw interrupted();
        }
        if (wait.count() == 0) {
            return;
        }
        timing_.sleep(std::min<std::chrono::nanoseconds>(wait, look_up_every), stop);
        lock.lock();
    }
}

} // namespace coldspare::clone
