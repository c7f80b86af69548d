#include "clone/blocks.hpp"

#include "clone/messages.hpp"

#include <doctest/doctest.h>

#include <array>

namespace coldspare::clone {

TEST_CASE("a block size is a power of two from 4 KiB to 4 MiB") {
    for (const std::uint64_t bytes : {4096U, 8192U, 262144U, 4194304U}) {
        CAPTURE(bytes);
        CHECK(is_block_size(bytes));
    }
    for (const std::uint64_t bytes : {0U, 1U, 2048U, 4095U, 4097U, 12288U, 8388608U}) {
        CAPTURE(bytes);
        CHECK_FALSE(is_block_size(bytes));
    }
}

TEST_CASE("a disk is cut into blocks of which the last may be shorter") {
    struct Row {
        std::uint64_t size;
        std::uint64_t blocks;
        std::uint32_t last;
    };
    constexpr std::array<Row, 6> table{{
        {1, 1, 1},
        {4095, 1, 4095},
        {4096, 1, 4096},
        {4097, 2, 1},
        {12288, 3, 4096},
        {largest_disk_size, largest_disk_size / 4096, 4096},
    }};
    for (const Row& row : table) {
        CAPTURE(row.size);
        const Geometry geometry{row.size, 4096};
        CHECK(geometry.block_count() == row.blocks);
        CHECK(geometry.length_at((row.blocks - 1) * 4096) == row.last);
        if (row.blocks > 1) {
            CHECK(geometry.length_at(0) == 4096);
        }
    }
}

TEST_CASE("a disk of more blocks than there may be hashes is refused before any is allocated") {
    DiskMessage disk{.block_size = 4096};
    disk.facts.name = "/dev/sda";
    disk.facts.size = most_blocks * 4096;
    CHECK(parse_disk(encode(disk)).facts.size == disk.facts.size);
    ++disk.facts.size;
    CHECK_THROWS_WITH_AS(
        static_cast<void>(parse_disk(encode(disk))),
        "the peer broke the protocol: DISK: 1073741825 blocks, the limit is 1073741824", Error);
}

} // namespace coldspare::clone
