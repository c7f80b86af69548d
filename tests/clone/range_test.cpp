#include "clone/range.hpp"

#include <doctest/doctest.h>

#include <array>
#include <thread>
#include <vector>

namespace coldspare::clone {

TEST_CASE("a range that ends past the disk is not inside it") {
    struct Row {
        Range range;
        std::uint64_t size;
        bool is_inside;
    };
    constexpr std::uint64_t huge = UINT64_MAX;
    constexpr std::array<Row, 9> table{{
        {{0, 0}, 0, true},
        {{0, 10}, 10, true},
        {{10, 0}, 10, true},
        {{11, 0}, 10, false},
        {{0, 11}, 10, false},
        {{9, 2}, 10, false},
        {{huge, 1}, 10, false},
        {{1, huge}, huge, false},
        {{0, huge}, huge, true},
    }};
    for (const Row& row : table) {
        CAPTURE(row.range.offset);
        CAPTURE(row.range.length);
        CHECK(inside(row.range, row.size) == row.is_inside);
    }
}

TEST_CASE("the pieces of a cursor follow each other and end with what remains") {
    RangeCursor cursor(25, 10);
    CHECK(cursor.next() == Range{0, 10});
    CHECK(cursor.next() == Range{10, 10});
    CHECK(cursor.next() == Range{20, 5});
    CHECK(cursor.next() == std::nullopt);
    CHECK(cursor.next() == std::nullopt);
}

TEST_CASE("a disk of whole pieces has no empty last one") {
    RangeCursor cursor(20, 10);
    CHECK(cursor.next() == Range{0, 10});
    CHECK(cursor.next() == Range{10, 10});
    CHECK(cursor.next() == std::nullopt);
}

TEST_CASE("a disk without bytes has no pieces") {
    CHECK(RangeCursor(0, 10).next() == std::nullopt);
}

TEST_CASE("many threads get each byte once") {
    constexpr std::uint64_t size = 200'003;
    constexpr std::uint64_t piece = 7;
    RangeCursor cursor(size, piece);
    std::array<std::vector<Range>, 8> taken;
    {
        std::vector<std::jthread> threads;
        for (std::vector<Range>& mine : taken) {
            threads.emplace_back([&cursor, &mine] {
                while (const std::optional<Range> range = cursor.next()) {
                    mine.push_back(*range);
                }
            });
        }
    }
    std::vector<unsigned> seen(size);
    for (const std::vector<Range>& mine : taken) {
        for (const Range& range : mine) {
            REQUIRE(inside(range, size));
            for (std::uint64_t at = range.offset; at < range.end(); ++at) {
                ++seen[at];
            }
        }
    }
    CHECK(seen == std::vector<unsigned>(size, 1));
}

} // namespace coldspare::clone
