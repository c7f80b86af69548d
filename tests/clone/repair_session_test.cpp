// Sessions with disks that are not what they should be: sectors that cannot be read, a target that
// reads back wrong, space that nobody uses.
#include "tests/support/session.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

namespace coldspare::clone {

namespace {

constexpr std::size_t mebibyte = 1 << 20;
constexpr std::size_t size = 5 * mebibyte + 3;
constexpr std::byte dirt{0xFF};
constexpr std::uint64_t block = default_block_size;

std::vector<std::byte> pattern(std::size_t length = size) {
    std::vector<std::byte> content(length);
    fill_pattern(content, 0);
    return content;
}

std::vector<std::byte> with_zeros(std::vector<std::byte> content,
                                  const std::vector<Range>& ranges) {
    for (const Range& range : ranges) {
        std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(range.offset), range.length,
                    std::byte{0});
    }
    return content;
}

bool touches(const std::vector<Range>& done, Range range) {
    return std::ranges::any_of(done, [range](const Range& one) {
        return one.offset < range.end() && range.offset < one.end();
    });
}

} // namespace

TEST_CASE("sectors that cannot be read are zeros on the target and listed on both sides") {
    for (const unsigned streams : {1U, 4U}) {
        for (const std::uint32_t block_size : {4096U, default_block_size}) {
            CAPTURE(streams);
            CAPTURE(block_size);
            MemoryDisk source(pattern());
            MemoryDisk target(size, dirt);
            const Outcome outcome =
                run_session(source, target,
                            {.streams = streams,
                             .block_size = block_size,
                             .source_faults = {.unreadable = {{mebibyte + 3 * 512, 512},
                                                              {2 * mebibyte - 1, 2},
                                                              {5 * mebibyte + 2, 1}}}});
            const std::vector<Range> bad{
                {mebibyte + 3 * 512, 512}, {2 * mebibyte - 512, 1024}, {5 * mebibyte, 3}};
            require_copied(outcome, target, with_zeros(source.content(), bad));
            CHECK(outcome.sent->unreadable == bad);
            CHECK(outcome.manifest->unreadable == bad);
        }
    }
}

TEST_CASE("whole blocks that cannot be read are zeros too") {
    MemoryDisk source(pattern());
    MemoryDisk target(size, dirt);
    const Range bad{mebibyte + block, 2 * mebibyte};
    const Outcome outcome =
        run_session(source, target, {.streams = 2, .source_faults = {.unreadable = {bad}}});
    require_copied(outcome, target, with_zeros(source.content(), {bad}));
    CHECK(outcome.sent->unreadable == std::vector<Range>{bad});
}

TEST_CASE("a disk of which nothing but a short tail can be read is still there") {
    const std::size_t short_size = mebibyte + 100;
    MemoryDisk source(pattern(short_size));
    MemoryDisk target(short_size, dirt);
    const Range bad{0, mebibyte};
    const Outcome outcome = run_session(source, target, {.source_faults = {.unreadable = {bad}}});
    require_copied(outcome, target, with_zeros(source.content(), {bad}));
    CHECK(outcome.sent->unreadable == std::vector<Range>{bad});
}

TEST_CASE("a disk that is gone in the middle is an error and not a list of all its sectors") {
    for (const unsigned streams : {1U, 4U}) {
        CAPTURE(streams);
        MemoryDisk source(pattern(20 * mebibyte), "source");
        MemoryDisk target(20 * mebibyte, dirt);
        std::atomic<int> reads{9};
        const Outcome outcome = run_session(
            source, target, {.streams = streams, .source_faults = {.reads_left = &reads}});
        REQUIRE(outcome.failed_on_both_sides());
        CHECK(outcome.source_error->message().starts_with(
            "the disk does not answer any more: reading 'source' at "));
        CHECK(outcome.target_error->message().starts_with(
            "the source reports: the disk does not answer any more: reading 'source' at "));
    }
}

TEST_CASE("a disk of which nothing can be read at all is an error") {
    MemoryDisk source(pattern());
    MemoryDisk target(size, dirt);
    std::atomic<int> reads{0};
    const Outcome outcome = run_session(source, target, {.source_faults = {.reads_left = &reads}});
    REQUIRE(outcome.failed_on_both_sides());
    CHECK(outcome.source_error->message() ==
          "the disk does not answer any more: not a single piece of it could be read");
}

TEST_CASE("free space is not read and is zeros on the target") {
    for (const unsigned streams : {1U, 4U}) {
        CAPTURE(streams);
        MemoryDisk source(pattern());
        MemoryDisk target(size, dirt);
        const std::vector<Range> free{{block, block}, {2 * mebibyte, mebibyte}};
        const Outcome outcome = run_session(source, target, {.streams = streams, .free = free});
        require_copied(outcome, target, with_zeros(source.content(), free));
        CHECK(outcome.sent->bytes_skipped == mebibyte + block);
        CHECK(outcome.sent->bytes_read == size - mebibyte - block);
        for (const Range& range : free) {
            CHECK_FALSE(touches(source.reads(), range));
        }
    }
}

TEST_CASE("a block that is free only in part is read and copied as it is") {
    MemoryDisk source(pattern());
    MemoryDisk target(size, dirt);
    const Outcome outcome =
        run_session(source, target, {.free = {{512, 2 * block}, {5 * mebibyte, 2}}});
    require_copied(outcome, target, with_zeros(source.content(), {{block, block}}));
    CHECK(outcome.sent->bytes_skipped == block);
}

TEST_CASE("holes are not read and are zeros on the target") {
    MemoryDisk source(with_zeros(pattern(), {{mebibyte, 2 * mebibyte}}));
    source.holes() = {{mebibyte, 2 * mebibyte}};
    MemoryDisk target(size, dirt);
    const Outcome outcome = run_session(source, target, {.streams = 2});
    require_copied(outcome, target, source.content());
    CHECK_FALSE(touches(source.reads(), {mebibyte, 2 * mebibyte}));
    CHECK(outcome.sent->bytes_zero == 2 * mebibyte);
    CHECK(outcome.sent->bytes_skipped == 0);
    CHECK(outcome.sent->bytes_read == size - 2 * mebibyte);
}

namespace {

/// A target of which the byte at `at` reads back wrong so many times.
Outcome run_with_wrong_reads(MemoryDisk& source, MemoryDisk& target, std::uint64_t at, int times,
                             SessionOptions options = {}) {
    std::atomic<int> left{times};
    options.read_back = ReadBack::yes;
    options.target_faults.wrong_at = at;
    options.target_faults.wrong_times = &left;
    return run_session(source, target, options);
}

} // namespace

TEST_CASE("a block that reads back wrong once is fetched again and then it is right") {
    for (const std::uint64_t at :
         {std::uint64_t{0}, std::uint64_t{3 * mebibyte + 5}, std::uint64_t{size - 1}}) {
        CAPTURE(at);
        MemoryDisk source(pattern());
        MemoryDisk target(size, dirt);
        const Outcome outcome = run_with_wrong_reads(source, target, at, 1, {.streams = 2});
        require_copied(outcome, target, source.content());
        CHECK(outcome.received->verified);
        const std::uint64_t start = at / block * block;
        const Range fetched{start, std::min(block, size - start)};
        CHECK(target.writes().back() == fetched);
    }
}

TEST_CASE("a block that reads back wrong twice is a failure on both sides with its range") {
    MemoryDisk source(pattern());
    MemoryDisk target(size, dirt);
    const Outcome outcome = run_with_wrong_reads(source, target, 3 * mebibyte + 5, 2);
    REQUIRE(outcome.failed_on_both_sides());
    const std::string message =
        "'memory' does not read back as it was written: 262144 bytes at 3145728";
    CHECK(outcome.target_error->message() == message);
    CHECK(outcome.source_error->message() == "the target reports: " + message);
}

TEST_CASE("a zero block that reads back wrong is sent again, whatever lies in free space") {
    MemoryDisk source(with_zeros(pattern(), {{0, block}}));
    for (const std::uint64_t at : {std::uint64_t{7}, std::uint64_t{mebibyte + 7}}) {
        CAPTURE(at);
        MemoryDisk target(size, dirt);
        const std::vector<Range> free{{mebibyte, block}};
        const Outcome outcome = run_with_wrong_reads(source, target, at, 1, {.free = free});
        require_copied(outcome, target, with_zeros(source.content(), free));
        CHECK_FALSE(touches(source.reads(), free.front()));
    }
}

TEST_CASE("a block with sectors that cannot be read is sent again as it was sent before") {
    MemoryDisk source(pattern());
    MemoryDisk target(size, dirt);
    const std::vector<Range> bad{{mebibyte + 1024, 512}};
    const Outcome outcome =
        run_with_wrong_reads(source, target, mebibyte, 1, {.source_faults = {.unreadable = bad}});
    require_copied(outcome, target, with_zeros(source.content(), bad));
    CHECK(outcome.sent->unreadable == bad);
}

TEST_CASE("a source that has changed when a block is fetched again is told") {
    MemoryDisk source(pattern(), "source");
    MemoryDisk target(size, dirt);
    AlignedBuffer other(4096);
    std::ranges::fill(other.span(), dirt);
    const Outcome outcome =
        run_session(source, target,
                    {.read_back = ReadBack::yes,
                     .target_faults = {.unreadable = {{2 * mebibyte, 1}}, .on_failed_read = [&] {
                                           source.write(2 * mebibyte, other.span());
                                       }}});
    REQUIRE(outcome.failed_on_both_sides());
    CHECK(outcome.source_error->message() ==
          "the block at 2097152 of 'source' has changed since it was sent");
    CHECK(outcome.source_error->hint() ==
          "something writes to the source: boot the live image for a sure copy");
    CHECK(outcome.target_error->message() ==
          "the source reports: the block at 2097152 of 'source' has changed since it was sent");
}

} // namespace coldspare::clone
