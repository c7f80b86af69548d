// Sessions onto an earlier clone: what differs travels, in parts of 4 KiB, and nothing else.
#include "clone/parts.hpp"
#include "tests/support/session.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

namespace coldspare::clone {

namespace {

constexpr std::size_t mebibyte = 1 << 20;
constexpr std::size_t size = 5 * mebibyte + 5003;
const std::vector<Range> whole{{0, size}};

/// Other bytes at each call, and the same in each run: one of 65536 parts that changed has the
/// short sum of what it was, and then its block travels whole.
std::vector<std::byte> noise(std::size_t count) {
    static std::mt19937_64 generator(20260901);
    std::vector<std::byte> bytes(count);
    for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
        const std::uint64_t value = generator();
        std::memcpy(bytes.data() + at, &value, std::min(sizeof value, count - at));
    }
    return bytes;
}

SessionOptions reclone(unsigned streams = 2, std::uint32_t block_size = default_block_size) {
    return {
        .streams = streams, .block_size = block_size, .durable = whole, .mode = CopyMode::delta};
}

/// Two different parts with the same sum.
std::pair<std::vector<std::byte>, std::vector<std::byte>> colliding_parts() {
    std::map<PartSum, std::vector<std::byte>> seen;
    for (;;) {
        std::vector<std::byte> part = noise(part_size);
        const PartSum sum = sum_of(hash_block(part));
        if (const auto found = seen.find(sum); found != seen.end()) {
            return {found->second, std::move(part)};
        }
        seen.emplace(sum, std::move(part));
    }
}

void put(MemoryDisk& disk, std::size_t offset, std::span<const std::byte> bytes) {
    std::ranges::copy(bytes, disk.content().begin() + static_cast<std::ptrdiff_t>(offset));
}

} // namespace

TEST_CASE("of a changed block only the changed parts travel and are written") {
    for (const unsigned streams : {1U, 4U}) {
        for (const std::uint32_t block_size : {16384U, default_block_size, largest_block_size}) {
            CAPTURE(streams);
            CAPTURE(block_size);
            MemoryDisk source(noise(size));
            MemoryDisk target(source.content());
            // One byte, two parts that follow each other, and the odd end of the disk.
            source.content()[7] ^= std::byte{1};
            source.content()[2 * mebibyte + part_size - 1] ^= std::byte{1};
            source.content()[2 * mebibyte + part_size] ^= std::byte{1};
            source.content()[size - 1] ^= std::byte{1};
            const Outcome outcome = run_session(source, target, reclone(streams, block_size));
            require_copied(outcome, target, source.content());
            CHECK(outcome.sent->reclone);
            CHECK_FALSE(outcome.sent->resumed);
            const std::uint64_t changed = 3 * part_size + size % part_size;
            CHECK(outcome.sent->bytes_sent == changed);
            CHECK(outcome.sent->bytes_same == size - changed);
            CHECK(outcome.sent->blocks_sent == (block_size == largest_block_size ? 2 : 3));
            std::uint64_t written = 0;
            for (const Range& range : target.writes()) {
                written += range.length;
            }
            CHECK(written == outcome.sent->bytes_sent);
        }
    }
}

TEST_CASE("a block of which most has changed travels whole") {
    MemoryDisk source(noise(size));
    MemoryDisk target(source.content());
    put(source, mebibyte, noise(default_block_size - part_size));
    const Outcome outcome = run_session(source, target, reclone());
    require_copied(outcome, target, source.content());
    CHECK(outcome.sent->bytes_sent == default_block_size);
}

TEST_CASE("parts that pack travel packed") {
    MemoryDisk source(noise(size));
    MemoryDisk target(source.content());
    std::vector<std::byte> text(40 * part_size);
    for (std::size_t i = 0; i < text.size(); ++i) {
        text[i] = static_cast<std::byte>('a' + i / 64 % 7);
    }
    put(source, mebibyte, text);
    SessionOptions options = reclone();
    options.compression = {Compression::Mode::fixed, 3};
    const Outcome outcome = run_session(source, target, options);
    require_copied(outcome, target, source.content());
    CHECK(outcome.sent->bytes_sent == text.size());
    CHECK(outcome.sent->bytes_wire < text.size() / 2);
}

TEST_CASE("two parts with the same sum are told apart: the block comes once more, whole") {
    const auto [was, is] = colliding_parts();
    for (const bool alone : {true, false}) {
        CAPTURE(alone);
        MemoryDisk source(noise(size));
        MemoryDisk target(source.content());
        put(source, mebibyte, is);
        put(target, mebibyte, was);
        if (!alone) { // A part whose change is seen, in the same block.
            source.content()[mebibyte + 9 * part_size] ^= std::byte{1};
        }
        const Outcome outcome = run_session(source, target, reclone());
        require_copied(outcome, target, source.content());
        CHECK(outcome.sent->bytes_sent == default_block_size + (alone ? 0 : part_size));
    }
}

TEST_CASE("a changed zero and a block that became zeros are no parts") {
    std::vector<std::byte> content = noise(size);
    std::fill_n(content.begin() + mebibyte, mebibyte, std::byte{0});
    MemoryDisk source(content);
    MemoryDisk target(content);
    put(target, mebibyte + default_block_size, noise(default_block_size));
    const Outcome outcome = run_session(source, target, reclone());
    require_copied(outcome, target, content);
    CHECK(outcome.sent->bytes_zero == default_block_size);
    CHECK(outcome.sent->bytes_sent == 0);
}

TEST_CASE("a re-clone can be read back like any copy") {
    MemoryDisk source(noise(size));
    MemoryDisk target(source.content());
    source.content()[mebibyte] ^= std::byte{1};
    SessionOptions options = reclone();
    options.read_back = ReadBack::yes;
    const Outcome outcome = run_session(source, target, options);
    require_copied(outcome, target, source.content());
    CHECK(outcome.received->verified);
}

TEST_CASE("small blocks travel whole") {
    MemoryDisk source(noise(size));
    MemoryDisk target(source.content());
    source.content()[mebibyte] ^= std::byte{1};
    const Outcome outcome = run_session(source, target, reclone(2, 8192));
    require_copied(outcome, target, source.content());
    CHECK(outcome.sent->bytes_sent == 8192);
}

} // namespace coldspare::clone
