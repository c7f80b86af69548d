#include "clone/codec.hpp"

#include "base/files.hpp"
#include "clone/digest.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace coldspare::clone {

namespace {

using Bytes = std::vector<std::byte>;

constexpr std::size_t block_size = 65536;

Bytes compressible(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(i / 100);
    }
    return bytes;
}

Bytes packed(const Bytes& raw) {
    Packer packer;
    Bytes into(raw.size());
    into.resize(packer.pack(raw, into, 1));
    return into;
}

/// Unpacks into the middle of a room of 0xEE and returns whether the room around is unharmed.
struct Attempt {
    bool unpacked = false;
    bool stayed_inside = false;
    Bytes raw;
};

Attempt unpack(std::span<const std::byte> bytes, std::size_t raw_size) {
    constexpr std::size_t margin = 4096;
    Bytes room(raw_size + 2 * margin, std::byte{0xEE});
    Unpacker unpacker;
    const std::span<std::byte> raw = std::span(room).subspan(margin, raw_size);
    Attempt attempt;
    attempt.unpacked = unpacker.unpack(bytes, raw);
    attempt.raw.assign(raw.begin(), raw.end());
    std::ranges::fill(raw, std::byte{0xEE});
    attempt.stayed_inside =
        std::ranges::all_of(room, [](std::byte byte) { return byte == std::byte{0xEE}; });
    return attempt;
}

} // namespace

TEST_CASE("what was packed is unpacked to the same bytes") {
    for (const std::size_t size : {100U, 511U, 4096U, 65536U, 4194304U}) {
        CAPTURE(size);
        const Bytes raw = compressible(size);
        const Bytes small = packed(raw);
        REQUIRE_FALSE(small.empty());
        const Attempt attempt = unpack(small, size);
        CHECK(attempt.unpacked);
        CHECK(attempt.raw == raw);
    }
}

TEST_CASE("a packed block is smaller by at least a sixteenth and never as long as it was") {
    for (std::size_t size = 1; size <= 300; ++size) {
        CAPTURE(size);
        const Bytes raw(size, std::byte{'A'});
        Packer packer;
        Bytes into(size);
        const std::size_t used = packer.pack(raw, into, 19);
        CHECK(used <= size - size / 16);
        CHECK(used < size);
    }
}

TEST_CASE("a block that does not shrink is stored") {
    const Bytes noise = random_bytes(block_size);
    CHECK(packed(noise).empty());
}

TEST_CASE("a block that shrinks by less than a sixteenth is stored") {
    Bytes bytes = random_bytes(block_size);
    std::fill_n(bytes.begin(), block_size / 20, std::byte{0});
    CHECK(packed(bytes).empty());
    std::fill_n(bytes.begin(), block_size / 8, std::byte{0});
    CHECK_FALSE(packed(bytes).empty());
}

TEST_CASE("after noise packing is still tried now and then and then for every block again") {
    Packer packer;
    const Bytes noise = random_bytes(block_size);
    const Bytes text = compressible(block_size);
    Bytes into(block_size);
    for (int i = 0; i < 50; ++i) {
        CHECK(packer.pack(noise, into, 1) == 0);
    }
    int skipped = 0;
    while (packer.pack(text, into, 1) == 0) {
        REQUIRE(++skipped < 8);
    }
    CHECK(packer.pack(text, into, 1) > 0);
}

TEST_CASE("a payload of another size than the block is refused") {
    const Bytes small = packed(compressible(block_size));
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, block_size - 1, block_size + 1}) {
        CAPTURE(size);
        const Attempt attempt = unpack(small, size);
        CHECK_FALSE(attempt.unpacked);
        CHECK(attempt.stayed_inside);
    }
}

TEST_CASE("a bomb never writes past the block") {
    const Bytes bomb = packed(Bytes(4 << 20));
    CHECK(bomb.size() < 4096);
    const Attempt attempt = unpack(bomb, 4096);
    CHECK_FALSE(attempt.unpacked);
    CHECK(attempt.stayed_inside);
}

TEST_CASE("several zstd frames that add up to more than the block never write past it") {
    const Bytes one = packed(compressible(4096));
    Bytes many;
    for (int i = 0; i < 50; ++i) {
        many.insert(many.end(), one.begin(), one.end());
    }
    const Attempt attempt = unpack(many, 4096);
    CHECK_FALSE(attempt.unpacked);
    CHECK(attempt.stayed_inside);
}

TEST_CASE("each truncation of a payload is refused") {
    const Bytes small = packed(compressible(4096));
    for (std::size_t length = 0; length < small.size(); ++length) {
        CAPTURE(length);
        const Attempt attempt = unpack(std::span(small).first(length), 4096);
        CHECK_FALSE(attempt.unpacked);
        CHECK(attempt.stayed_inside);
    }
}

TEST_CASE("whatever a payload is the bytes around the block stay as they were") {
    const Bytes good = packed(compressible(4096));
    for (std::size_t round = 0; round < 2000; ++round) {
        CAPTURE(round);
        Bytes bad = good;
        // Deterministic damage: one byte in each round, and a second one far from it.
        bad[round % bad.size()] ^= static_cast<std::byte>(1 + round % 255);
        bad[(round * 7 + 3) % bad.size()] ^= static_cast<std::byte>(1 + round % 251);
        CHECK(unpack(bad, 4096).stayed_inside);
    }
    for (std::size_t size = 1; size < 300; ++size) {
        const Attempt attempt = unpack(random_bytes(size), 4096);
        CHECK_FALSE(attempt.unpacked);
        CHECK(attempt.stayed_inside);
    }
}

} // namespace coldspare::clone
