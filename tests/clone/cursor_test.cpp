#include "clone/cursor.hpp"

#include "tests/support/memory_disk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace coldspare::clone {

namespace {

constexpr std::uint32_t block = 4096;
using Kind = Piece::Kind;

struct Case {
    std::uint64_t size = 0;
    std::vector<Range> holes;
    std::vector<Range> free;
    PieceLengths lengths{4 * block, 8 * block};
};

std::vector<Piece> all_pieces(const Case& asked) {
    MemoryDisk disk(asked.size, std::byte{1});
    disk.holes() = asked.holes;
    SourceCursor cursor(disk, {asked.size, block}, asked.lengths, asked.free);
    std::vector<Piece> pieces;
    while (const std::optional<Piece> piece = cursor.next()) {
        pieces.push_back(*piece);
    }
    CHECK(disk.reads().empty());
    return pieces;
}

/// What a cursor promises of any disk.
void require_each_block_once(const Case& asked, std::vector<Piece> pieces) {
    std::ranges::sort(pieces, {}, [](const Piece& piece) { return piece.range.offset; });
    const auto surely_zero = [&](const std::vector<Range>& ranges, std::uint64_t byte) {
        return std::ranges::any_of(ranges, [byte](const Range& range) {
            return byte >= range.offset && byte < range.end();
        });
    };
    std::uint64_t at = 0;
    for (const Piece& piece : pieces) {
        CAPTURE(piece.range.offset);
        CHECK(piece.range.offset == at);
        REQUIRE(piece.range.length > 0);
        CHECK((piece.range.length % block == 0 || piece.range.end() == asked.size));
        CHECK(piece.range.length <=
              (piece.kind == Kind::data ? asked.lengths.data : asked.lengths.zero));
        if (piece.kind != Kind::data) {
            for (std::uint64_t byte = piece.range.offset; byte < piece.range.end(); byte += 512) {
                REQUIRE(surely_zero(piece.kind == Kind::hole ? asked.holes : asked.free, byte));
            }
        }
        at = piece.range.end();
    }
    CHECK(at == asked.size);
}

using List = std::vector<std::pair<Kind, Range>>;

List list_of(const std::vector<Piece>& pieces) {
    List list;
    for (const Piece& piece : pieces) {
        list.emplace_back(piece.kind, piece.range);
    }
    return list;
}

} // namespace

TEST_CASE("a disk of data comes in pieces that are aligned to their length") {
    for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{block} - 1,
                                     std::uint64_t{block}, std::uint64_t{9} * block + 77}) {
        CAPTURE(size);
        const Case asked{.size = size};
        const std::vector<Piece> pieces = all_pieces(asked);
        require_each_block_once(asked, pieces);
        for (const Piece& piece : pieces) {
            CHECK(piece.kind == Kind::data);
            CHECK(piece.range.offset % asked.lengths.data == 0);
        }
    }
}

TEST_CASE("holes and free space are pieces of their own") {
    const Case asked{.size = 20 * block,
                     .holes = {{2 * block, 2 * block}},
                     .free = {{6 * block, block}, {15 * block, 5 * block}}};
    const std::vector<Piece> pieces = all_pieces(asked);
    require_each_block_once(asked, pieces);
    CHECK(list_of(pieces) == List{{Kind::data, {0, 2 * block}},
                                  {Kind::hole, {2 * block, 2 * block}},
                                  {Kind::data, {4 * block, 2 * block}},
                                  {Kind::free, {6 * block, block}},
                                  {Kind::data, {7 * block, block}},
                                  {Kind::data, {8 * block, 4 * block}},
                                  {Kind::data, {12 * block, 3 * block}},
                                  {Kind::free, {15 * block, 5 * block}}});
}

TEST_CASE("a block that is a hole or free only in part is data") {
    const Case asked{.size = 8 * block,
                     .holes = {{block + 512, block}, {4 * block - 512, block + 1024}},
                     .free = {{6 * block + 512, block - 512}}};
    const std::vector<Piece> pieces = all_pieces(asked);
    require_each_block_once(asked, pieces);
    CHECK(list_of(pieces) == List{{Kind::data, {0, 4 * block}},
                                  {Kind::hole, {4 * block, block}},
                                  {Kind::data, {5 * block, 3 * block}}});
}

TEST_CASE("a block that is half a hole and half free is data") {
    const Case asked{
        .size = 3 * block, .holes = {{block, block / 2}}, .free = {{block + block / 2, block / 2}}};
    CHECK(list_of(all_pieces(asked)) == List{{Kind::data, {0, 3 * block}}});
}

TEST_CASE("free space within a hole counts as free") {
    const Case asked{.size = 4 * block, .holes = {{0, 4 * block}}, .free = {{block, 2 * block}}};
    CHECK(list_of(all_pieces(asked)) == List{{Kind::hole, {0, block}},
                                             {Kind::free, {block, 2 * block}},
                                             {Kind::hole, {3 * block, block}}});
}

TEST_CASE("the odd tail of a disk is a hole or free like any block") {
    const std::uint64_t size = 5 * block + 100;
    CHECK(list_of(all_pieces({.size = size, .holes = {{4 * block, size}}})) ==
          List{{Kind::data, {0, 4 * block}}, {Kind::hole, {4 * block, block + 100}}});
    CHECK(list_of(all_pieces({.size = size, .free = {{5 * block, 100}}})) ==
          List{{Kind::data, {0, 4 * block}},
               {Kind::data, {4 * block, block}},
               {Kind::free, {5 * block, 100}}});
    // The tail is not all free.
    CHECK(list_of(all_pieces({.size = size, .free = {{5 * block, 99}}})).back() ==
          std::pair{Kind::data, Range{4 * block, block + 100}});
}

TEST_CASE("a long hole comes in parts and none is longer than asked for") {
    const Case asked{.size = 21 * block + 5, .holes = {{0, 21 * block + 5}}};
    const std::vector<Piece> pieces = all_pieces(asked);
    require_each_block_once(asked, pieces);
    CHECK(list_of(pieces) == List{{Kind::hole, {0, 8 * block}},
                                  {Kind::hole, {8 * block, 8 * block}},
                                  {Kind::hole, {16 * block, 5 * block + 5}}});
}

TEST_CASE("free space that reaches behind the disk ends with it") {
    CHECK(list_of(all_pieces({.size = 3 * block, .free = {{block, 1000 * block}}})) ==
          List{{Kind::data, {0, block}}, {Kind::free, {block, 2 * block}}});
}

TEST_CASE("each block comes once, whatever is a hole or free") {
    std::uint64_t dice = 20261122;
    const auto below = [&dice](std::uint64_t limit) {
        dice = dice * 6364136223846793005 + 1442695040888963407;
        return (dice >> 33) % limit;
    };
    for (int round = 0; round < 200; ++round) {
        CAPTURE(round);
        Case asked{.size = 1 + below(40 * block)};
        for (std::vector<Range>* ranges : {&asked.holes, &asked.free}) {
            std::uint64_t at = 0;
            while ((at += 512 * below(40)) < asked.size) {
                const std::uint64_t length = 512 * (1 + below(60));
                ranges->push_back({at, std::min(length, asked.size - at)});
                at += length + 512;
            }
        }
        require_each_block_once(asked, all_pieces(asked));
    }
}

TEST_CASE("threads share a cursor and each block still comes once") {
    const Case asked{.size = 4001 * block + 7,
                     .holes = {{100 * block, 50 * block}, {3000 * block, 5 * block + 512}},
                     .free = {{1000 * block, 900 * block}}};
    MemoryDisk disk(asked.size, std::byte{1});
    disk.holes() = asked.holes;
    SourceCursor cursor(disk, {asked.size, block}, asked.lengths, asked.free);
    std::vector<std::vector<Piece>> taken(4);
    {
        std::vector<std::jthread> threads;
        for (std::vector<Piece>& pieces : taken) {
            threads.emplace_back([&cursor, &pieces] {
                while (const std::optional<Piece> piece = cursor.next()) {
                    pieces.push_back(*piece);
                }
            });
        }
    }
    std::vector<Piece> all;
    for (const std::vector<Piece>& pieces : taken) {
        CHECK(std::ranges::is_sorted(pieces, {},
                                     [](const Piece& piece) { return piece.range.offset; }));
        all.insert(all.end(), pieces.begin(), pieces.end());
    }
    require_each_block_once(asked, all);
}

} // namespace coldspare::clone
