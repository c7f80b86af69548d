#include "clone/progress.hpp"

#include <doctest/doctest.h>

#include <array>

namespace coldspare::clone {

TEST_CASE("the limit is the side that is busy and the network where none is") {
    struct Row {
        Business busy;
        std::string_view limit;
    };
    constexpr std::array<Row, 8> table{{
        {{0.0, 0.0}, "network"},
        {{0.69, 0.69}, "network"},
        {{0.70, 0.0}, "source"},
        {{0.0, 0.70}, "target"},
        {{0.9, 0.8}, "source"},
        {{0.8, 0.9}, "target"},
        {{0.9, 0.9}, "source"},
        {{1.0, 0.1}, "source"},
    }};
    for (const Row& row : table) {
        CAPTURE(row.busy.source);
        CAPTURE(row.busy.target);
        CHECK(limit_of(row.busy) == row.limit);
    }
}

TEST_CASE("a stopwatch adds to what was counted before") {
    std::atomic<std::uint64_t> counter{UINT64_C(1) << 40};
    { const Stopwatch watch(counter); }
    CHECK(counter >= UINT64_C(1) << 40);
    CHECK(counter < (UINT64_C(1) << 40) + 10'000'000'000);
}

} // namespace coldspare::clone
