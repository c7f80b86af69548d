#include "clone/parts.hpp"

#include "base/error.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone {

TEST_CASE("a block is hashed part by part, the last one may be short") {
    const std::vector<std::byte> block = random_bytes(2 * part_size + 100);
    std::vector<Leaf> parts{Leaf{}};
    hash_parts(block, parts);
    REQUIRE(parts.size() == parts_in(block.size()));
    CHECK(parts[0] == hash_block(std::span(block).first(part_size)));
    CHECK(parts[2] == hash_block(std::span(block).last(100)));
    const Leaf whole = digest_of(parts);
    parts[1][15] ^= std::byte{1};
    CHECK(digest_of(parts) != whole);
}

TEST_CASE("the head of PARTS is what it was, bit by bit") {
    for (const std::uint32_t length : {1U, part_size, 8 * part_size, 9 * part_size + 1}) {
        CAPTURE(length);
        const auto parts = static_cast<std::size_t>(parts_in(length));
        for (std::size_t only = 0; only < parts; ++only) {
            PartsHead head{.changed = std::vector<bool>(parts, false), .digest = {std::byte{7}}};
            head.changed[only] = true;
            std::vector<std::byte> bytes(parts_head_size(length), std::byte{0xFF});
            encode_parts_head(head, bytes);
            const PartsHead back = parse_parts_head(bytes, length);
            CHECK(back.changed == head.changed);
            CHECK(back.digest == head.digest);
            CHECK(back.content_length(length) == part_range(only, length).length);
        }
    }
}

TEST_CASE("a head of PARTS that names no part, or one behind the block, is an error") {
    std::vector<std::byte> bytes(parts_head_size(9 * part_size));
    CHECK(thrown_by([&] { static_cast<void>(parse_parts_head(bytes, 9 * part_size)); }).message() ==
          "the peer broke the protocol: PARTS without a part");
    bytes[1] = std::byte{0b11};
    CHECK(thrown_by([&] { static_cast<void>(parse_parts_head(bytes, 9 * part_size)); }).message() ==
          "the peer broke the protocol: PARTS names a part behind the block");
}

TEST_CASE("a table of parts knows the blocks told last, and never takes one for another") {
    const Geometry geometry{100 * 4 * part_size + 1, 4 * part_size};
    PartTable<PartSum> table(geometry, 10 * geometry.block_size);
    const auto parts_of_block = [](std::uint64_t block) {
        return std::vector<PartSum>(4, {std::byte{0}, static_cast<std::byte>(block)});
    };
    std::vector<PartSum> found(4);
    CHECK_FALSE(table.get(0, found));
    for (std::uint64_t block = 0; block < 25; ++block) {
        table.put(block, parts_of_block(block));
    }
    for (std::uint64_t block = 0; block < 30; ++block) {
        CAPTURE(block);
        CHECK(table.get(block, found) == (block >= 15 && block < 25));
        if (block >= 15 && block < 25) {
            CHECK(found == parts_of_block(block));
        }
    }
    const std::vector<PartSum> one{{std::byte{1}, std::byte{2}}};
    table.put(100, one); // The last block has one part.
    std::vector<PartSum> last(1);
    REQUIRE(table.get(100, last));
    CHECK(last == one);
}

} // namespace coldspare::clone
