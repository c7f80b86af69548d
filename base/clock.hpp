#pragma once

#include <chrono>
#include <string>

namespace coldspare {

/// Time that only runs forward; all waiting and all rates use it. A live image's calendar is wrong.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Seconds = std::chrono::duration<double>;

/// The calendar time as RFC 3339 in UTC, "2026-11-22T03:05:14Z": for people, never for decisions.
[[nodiscard]] std::string utc_timestamp();

} // namespace coldspare
