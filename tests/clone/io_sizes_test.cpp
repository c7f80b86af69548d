#include "clone/io_sizes.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone {

TEST_CASE("ranges that touch or overlap become one and the others stay") {
    struct Row {
        std::vector<Range> ranges;
        std::vector<Range> expected;
    };
    const std::vector<Row> table{
        {{}, {}},
        {{{5, 2}}, {{5, 2}}},
        {{{0, 2}, {2, 2}}, {{0, 4}}},
        {{{2, 2}, {0, 2}}, {{0, 4}}},
        {{{0, 2}, {3, 2}}, {{0, 2}, {3, 2}}},
        {{{0, 10}, {2, 3}}, {{0, 10}}},
        {{{0, 10}, {2, 3}, {9, 4}, {20, 1}}, {{0, 13}, {20, 1}}},
        {{{7, 1}, {7, 1}, {7, 1}}, {{7, 1}}},
        {{{4, 4}, {0, 1}, {1, 3}}, {{0, 8}}},
    };
    for (const Row& row : table) {
        CAPTURE(row.ranges.size());
        CHECK(joined(row.ranges) == row.expected);
    }
}

TEST_CASE("pieces are of whole blocks and a worker has several under way") {
    for (std::uint32_t size = smallest_block_size; size <= largest_block_size; size *= 2) {
        CAPTURE(size);
        const Geometry geometry{std::uint64_t{1} << 40, size};
        CHECK(piece_length(geometry) % size == 0);
        CHECK(piece_length(geometry) >= io_size);
        CHECK(queue_depth(geometry) >= 2);
    }
    CHECK(piece_length({1, default_block_size}) == io_size);
    CHECK(queue_depth({1, default_block_size}) == 4);
}

} // namespace coldspare::clone
