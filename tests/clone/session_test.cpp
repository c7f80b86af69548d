// Whole copies between disks in memory: send_disk() and receive_disk() over loopback.
#include "tests/support/session.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

namespace coldspare::clone {

namespace {

constexpr std::size_t mebibyte = 1 << 20;
constexpr std::byte dirt{0xFF};

/// Bytes of three sorts: a pattern, zeros, and noise that does not compress.
std::vector<std::byte> mixed_content(std::size_t size) {
    std::vector<std::byte> content(size);
    if (size <= 2 * mebibyte) {
        fill_pattern(content, 0);
    } else {
        fill_pattern(std::span(content).first(mebibyte), 0);
        const std::vector<std::byte> noise = random_bytes(size - 2 * mebibyte);
        std::memcpy(content.data() + 2 * mebibyte, noise.data(), noise.size());
    }
    return content;
}

Security some_token() {
    return Token{std::byte{5}};
}

/// What must be true of a copy that was told to be good.
void require_good_copy(const Outcome& outcome, const MemoryDisk& source, const MemoryDisk& target) {
    require_copied(outcome, target, source.content());
    const std::size_t size = source.content().size();
    CHECK(outcome.sent->bytes_zero + outcome.sent->bytes_sent == size);
    CHECK(outcome.received->bytes_zero + outcome.received->bytes_sent == size);
    CHECK(outcome.sent->bytes_read == size);
    CHECK(outcome.sent->blocks_sent == outcome.received->blocks_sent);
}

} // namespace

TEST_CASE("a disk of any size arrives as it was with any number of streams") {
    for (const std::size_t size :
         {std::size_t{1}, std::size_t{default_block_size} - 1, std::size_t{default_block_size},
          std::size_t{default_block_size} + 1, 5 * mebibyte + 3}) {
        for (const unsigned streams : {1U, 4U}) {
            CAPTURE(size);
            CAPTURE(streams);
            MemoryDisk source(mixed_content(size));
            MemoryDisk target(size, dirt);
            require_good_copy(run_session(source, target, {.streams = streams}), source, target);
            CHECK(source.untouched());
        }
    }
}

TEST_CASE("a disk arrives over TLS whichever side listens") {
    for (const Listening listening : {Listening::target, Listening::source}) {
        for (const unsigned streams : {1U, 4U}) {
            CAPTURE(streams);
            MemoryDisk source(mixed_content(5 * mebibyte + 3));
            MemoryDisk target(5 * mebibyte + 3, dirt);
            const SessionOptions options{
                .streams = streams, .security = some_token(), .listening = listening};
            require_good_copy(run_session(source, target, options), source, target);
        }
    }
}

TEST_CASE("a disk arrives without compression and in blocks of each size") {
    for (const std::uint32_t block_size : {smallest_block_size, 65536U, largest_block_size}) {
        for (const Compression::Mode mode :
             {Compression::Mode::none, Compression::Mode::fixed, Compression::Mode::automatic}) {
            CAPTURE(block_size);
            CAPTURE(static_cast<int>(mode));
            MemoryDisk source(mixed_content(5 * mebibyte + 3));
            MemoryDisk target(5 * mebibyte + 3, dirt);
            const SessionOptions options{
                .streams = 2, .compression = {mode, 3}, .block_size = block_size};
            const Outcome outcome = run_session(source, target, options);
            require_good_copy(outcome, source, target);
            CHECK(outcome.manifest->geometry.block_size == block_size);
        }
    }
}

TEST_CASE("zeros are written over dirt and do not travel") {
    for (const std::size_t size : {std::size_t{1}, 3 * mebibyte, 5 * mebibyte + 3}) {
        CAPTURE(size);
        MemoryDisk source(size, std::byte{0});
        MemoryDisk target(size, dirt);
        const Outcome outcome = run_session(source, target, {.streams = 2});
        require_good_copy(outcome, source, target);
        CHECK(outcome.sent->blocks_sent == 0);
        CHECK(outcome.sent->bytes_zero == size);
        CHECK(outcome.sent->bytes_wire < 20'000);
        CHECK(target.writes().empty());
    }
}

TEST_CASE("what lies behind the copy on a larger target is left alone") {
    MemoryDisk source(mixed_content(3 * mebibyte + 5));
    MemoryDisk target(4 * mebibyte, dirt);
    require_good_copy(run_session(source, target), source, target);
    CHECK(std::ranges::all_of(std::span(target.content()).subspan(3 * mebibyte + 5),
                              [](std::byte byte) { return byte == dirt; }));
}

TEST_CASE("the root is the same whatever the streams did") {
    MemoryDisk source(mixed_content(5 * mebibyte + 3));
    std::optional<Sha256> root;
    for (const unsigned streams : {1U, 3U, 16U}) {
        CAPTURE(streams);
        MemoryDisk target(5 * mebibyte + 3, dirt);
        const Outcome outcome = run_session(
            source, target, {.streams = streams, .compression = {Compression::Mode::none}});
        require_good_copy(outcome, source, target);
        CHECK(root.value_or(outcome.sent->root) == outcome.sent->root);
        root = outcome.sent->root;
    }
}

TEST_CASE("each byte of the source is read once and each of the target written once") {
    MemoryDisk source(mixed_content(5 * mebibyte + 3));
    MemoryDisk target(5 * mebibyte + 3, dirt);
    require_good_copy(run_session(source, target, {.streams = 4}), source, target);
    const auto bytes_of = [](const std::vector<Range>& ranges) {
        std::uint64_t bytes = 0;
        for (const Range& range : ranges) {
            bytes += range.length;
        }
        return bytes;
    };
    // The first page once more, for a partition table.
    CHECK(bytes_of(source.reads()) == 5 * mebibyte + 3 + 4096);
    CHECK(bytes_of(target.writes()) + bytes_of(target.zeros()) == 5 * mebibyte + 3);
}

TEST_CASE("a copy that is read back says that it was verified") {
    MemoryDisk source(mixed_content(3 * mebibyte));
    MemoryDisk target(3 * mebibyte, dirt);
    const Outcome outcome = run_session(source, target, {.read_back = ReadBack::yes});
    require_good_copy(outcome, source, target);
    CHECK(outcome.received->verified);
}

TEST_CASE("a target that reads back wrong is a failure on both sides") {
    MemoryDisk source(mixed_content(3 * mebibyte));
    MemoryDisk target(3 * mebibyte, dirt);
    const Outcome outcome =
        run_session(source, target,
                    {.read_back = ReadBack::yes, .target_faults = {.read_at = 2 * mebibyte + 100}});
    REQUIRE(outcome.failed_on_both_sides());
    const std::string message = "'memory' does not read back as it was written: 262144 bytes at "
                                "2097152";
    CHECK(outcome.target_error->message() == message);
    CHECK(outcome.source_error->message() == "the target reports: " + message);
}

TEST_CASE("a source that cannot be read is a failure on both sides where it was asked for") {
    for (const unsigned streams : {1U, 4U}) {
        CAPTURE(streams);
        MemoryDisk source(mixed_content(5 * mebibyte + 3), "source");
        MemoryDisk target(5 * mebibyte + 3, dirt);
        const Outcome outcome = run_session(source, target,
                                            {.streams = streams,
                                             .on_read_error = OnReadError::stop,
                                             .source_faults = {.read_at = 4 * mebibyte + 77}});
        REQUIRE(outcome.failed_on_both_sides());
        const std::string message = "reading 'source' at 4194304: cannot read: Input/output error";
        CHECK(outcome.source_error->message() == message);
        CHECK(outcome.target_error->message() == "the source reports: " + message);
        CHECK(outcome.source_error->status() == ExitStatus::failed);
        CHECK(outcome.target_error->status() == ExitStatus::failed);
    }
}

TEST_CASE("a target that cannot be written is a failure on both sides with its reason") {
    for (const unsigned streams : {1U, 4U}) {
        CAPTURE(streams);
        MemoryDisk source(mixed_content(5 * mebibyte + 3));
        MemoryDisk target(5 * mebibyte + 3, dirt, "target");
        const Outcome outcome = run_session(
            source, target, {.streams = streams, .target_faults = {.write_at = 3 * mebibyte + 1}});
        REQUIRE(outcome.failed_on_both_sides());
        const std::string message = "writing 'target' at 3145728: cannot write: Input/output error";
        CHECK(outcome.target_error->message() == message);
        CHECK(outcome.source_error->message() == "the target reports: " + message);
    }
}

TEST_CASE("a target that cannot be zeroed is a failure on both sides with its reason") {
    MemoryDisk source(3 * mebibyte, std::byte{0});
    MemoryDisk target(3 * mebibyte, dirt, "target");
    const Outcome outcome =
        run_session(source, target, {.target_faults = {.write_at = 2 * mebibyte}});
    REQUIRE(outcome.failed_on_both_sides());
    CHECK(outcome.source_error->message() ==
          "the target reports: zeroing 'target' at 2097152: cannot write: Input/output error");
}

TEST_CASE("a target that cannot be flushed never says DONE") {
    MemoryDisk source(mixed_content(3 * mebibyte));
    MemoryDisk target(3 * mebibyte, dirt, "target");
    const Outcome outcome = run_session(source, target, {.target_faults = {.flush = true}});
    REQUIRE(outcome.failed_on_both_sides());
    CHECK(outcome.target_error->message() ==
          "cannot flush 'target' to its medium: Input/output error");
    CHECK(outcome.source_error->message() ==
          "the target reports: cannot flush 'target' to its medium: Input/output error");
}

TEST_CASE("a refusal of the target is a refusal on both sides and nothing is copied") {
    MemoryDisk source(mixed_content(3 * mebibyte));
    MemoryDisk target(3 * mebibyte, dirt);
    const Outcome outcome = run_session(
        source, target, {.before_writing = [] { throw refusal("overwrite 'x'", "say --erase"); }});
    REQUIRE(outcome.failed_on_both_sides());
    CHECK(outcome.target_error->message() == "refusing to overwrite 'x'");
    CHECK(outcome.source_error->message() == "the target reports: refusing to overwrite 'x'");
    CHECK(outcome.source_error->hint() == "say --erase");
    CHECK(outcome.target_error->status() == ExitStatus::refused);
    CHECK(outcome.source_error->status() == ExitStatus::refused);
    CHECK(source.reads() == std::vector<Range>{{0, 4096}}); // for a partition table
    CHECK(target.untouched());
}

TEST_CASE("a target that another run holds is locked there and a failure here") {
    MemoryDisk source(mixed_content(1000));
    MemoryDisk target(1000, dirt);
    const Outcome outcome =
        run_session(source, target, {.before_writing = [] {
                        throw Error("'x' is locked by another run", "wait", ExitStatus::locked);
                    }});
    REQUIRE(outcome.failed_on_both_sides());
    CHECK(outcome.target_error->status() == ExitStatus::locked);
    CHECK(outcome.source_error->status() == ExitStatus::failed);
}

TEST_CASE("an interruption of one side is told to the other") {
    for (const bool of_source : {true, false}) {
        CAPTURE(of_source);
        MemoryDisk source(mixed_content(3 * mebibyte));
        MemoryDisk target(3 * mebibyte, dirt);
        std::stop_source stop;
        SessionOptions options;
        (of_source ? options.stop_source : options.stop_target) = stop.get_token();
        options.before_writing = [&] { stop.request_stop(); };
        const Outcome outcome = run_session(source, target, options);
        REQUIRE(outcome.failed_on_both_sides());
        const Error& ours = of_source ? *outcome.source_error : *outcome.target_error;
        const Error& theirs = of_source ? *outcome.target_error : *outcome.source_error;
        CHECK(ours.status() == ExitStatus::interrupted);
        CHECK(theirs.message() ==
              fmt::format("the {} reports: interrupted", of_source ? "source" : "target"));
        CHECK(theirs.status() == ExitStatus::interrupted);
    }
}

TEST_CASE("the fewest streams that both want are used") {
    CHECK(streams_for(1) == 1);
    CHECK(streams_for(16) == 16);
    CHECK(streams_for(17) == 16);
    CHECK(streams_for(0) >= 1);
    CHECK(streams_for(0) <= 4);
}

TEST_CASE("what is free is asked for when the target is there, and not before") {
    // What is written to the source while it waits for its peer has to be copied.
    MemoryDisk source(random_bytes(8192));
    MemoryDisk target(8192, std::byte{0xFF});
    std::atomic<bool> target_is_there{false};
    std::atomic<bool> asked_after{false};
    const Outcome outcome =
        run_session(source, target,
                    {.before_writing = [&] { target_is_there = true; },
                     .before_free = [&] { asked_after = target_is_there.load(); }});
    require_copied(outcome, target, source.content());
    CHECK(asked_after);
}

} // namespace coldspare::clone
