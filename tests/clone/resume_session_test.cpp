// Sessions that go on where an interrupted one was, and what makes that possible: epochs.
#include "base/clock.hpp"
#include "clone/target_worker.hpp"
#include "tests/support/handmade_source.hpp"
#include "tests/support/session.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace coldspare::clone {

namespace {

constexpr std::size_t mebibyte = 1 << 20;
constexpr std::size_t size = 5 * mebibyte + 3;
constexpr std::byte dirt{0xFF};
constexpr std::uint64_t block = default_block_size;

/// No zeros in it, and nothing that packs.
std::vector<std::byte> noise() {
    std::vector<std::byte> content = random_bytes(size);
    std::ranges::replace(content, std::byte{0}, std::byte{1});
    return content;
}

/// A target that has the parts of `source` that `there` names, and dirt elsewhere.
MemoryDisk unfinished(const std::vector<std::byte>& source, const std::vector<Range>& there) {
    std::vector<std::byte> content(source.size(), dirt);
    for (const Range& range : there) {
        std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(range.offset), range.length,
                    content.begin() + static_cast<std::ptrdiff_t>(range.offset));
    }
    return MemoryDisk(std::move(content));
}

/// A source that is read on, at the middle of 20 MiB and near the end, only when the target has
/// flushed what came before: `flushes_left` of the target's faults has gone down to `first`, then
/// to one less.
Faults waits_for_flushes(const std::atomic<int>& flushes_left, int first) {
    return {.before_read = [&flushes_left, first](Range range) {
        const int wanted = range.offset >= 16 * mebibyte  ? first - 1
                           : range.offset >= 8 * mebibyte ? first
                                                          : first + 1;
        const TimePoint give_up = Clock::now() + std::chrono::minutes(1);
        while (flushes_left > wanted && Clock::now() < give_up) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }};
}

bool touched(const MemoryDisk& disk, Range range) {
    const auto meets = [range](const Range& done) {
        return done.offset < range.end() && range.offset < done.end();
    };
    return std::ranges::any_of(disk.writes(), meets) || std::ranges::any_of(disk.zeros(), meets);
}

} // namespace

TEST_CASE("what an interrupted run has left on the target does not travel again") {
    for (const unsigned streams : {1U, 4U}) {
        for (const Security& security : {Security(), Security(Token{std::byte{5}})}) {
            CAPTURE(streams);
            MemoryDisk source(noise());
            const std::vector<Range> durable{{0, 2 * mebibyte}, {5 * mebibyte, 3}};
            MemoryDisk target = unfinished(source.content(), durable);
            const Outcome outcome = run_session(
                source, target, {.streams = streams, .security = security, .durable = durable});
            require_copied(outcome, target, source.content());
            CHECK(outcome.sent->resumed);
            CHECK(outcome.sent->bytes_same == 2 * mebibyte + 3);
            CHECK(outcome.sent->bytes_sent == 3 * mebibyte);
            CHECK(outcome.sent->bytes_read == size);
            for (const Range& range : durable) {
                CHECK_FALSE(touched(target, range));
            }
        }
    }
}

TEST_CASE("a journal that is wrong about a block costs 4 KiB of it and nothing else") {
    for (const std::uint32_t block_size : {4096U, default_block_size, largest_block_size}) {
        CAPTURE(block_size);
        MemoryDisk source(noise());
        const std::vector<Range> durable{{0, 4 * mebibyte}};
        MemoryDisk target = unfinished(source.content(), durable);
        target.content()[mebibyte + 7] ^= std::byte{1};
        const Outcome outcome = run_session(
            source, target, {.streams = 2, .block_size = block_size, .durable = durable});
        require_copied(outcome, target, source.content());
        CHECK(outcome.sent->bytes_same == 4 * mebibyte - part_size);
    }
}

TEST_CASE("a source that changed since the interrupted run is copied as it is now") {
    MemoryDisk source(noise());
    const std::vector<Range> durable{{0, 3 * mebibyte}};
    MemoryDisk target = unfinished(source.content(), durable);
    std::fill_n(source.content().begin() + mebibyte, 2 * block, std::byte{0});
    source.content()[0] ^= std::byte{1};
    const Outcome outcome = run_session(source, target, {.durable = durable});
    require_copied(outcome, target, source.content());
    CHECK(outcome.sent->bytes_same == 3 * mebibyte - 2 * block - part_size);
    CHECK(outcome.received->bytes_zero == 2 * block);
}

TEST_CASE("a target of which nothing is right any more is copied whole") {
    MemoryDisk source(noise());
    MemoryDisk target(size, dirt);
    const Outcome outcome = run_session(source, target, {.durable = {{0, size}}});
    require_copied(outcome, target, source.content());
    CHECK(outcome.sent->resumed);
    CHECK(outcome.sent->bytes_same == 0);
}

TEST_CASE("of a copy that was all there nothing travels and nothing is written, zeros neither") {
    std::vector<std::byte> content = noise();
    std::fill_n(content.begin() + mebibyte, mebibyte, std::byte{0});
    std::fill_n(content.begin() + 5 * mebibyte, 3, std::byte{0});
    MemoryDisk source(content);
    source.holes() = {{mebibyte, mebibyte}};
    MemoryDisk target(content);
    const Outcome outcome = run_session(source, target, {.streams = 2, .durable = {{0, size}}});
    require_copied(outcome, target, content);
    CHECK(outcome.sent->bytes_same == size);
    CHECK(outcome.sent->blocks_sent == 0);
    CHECK(target.untouched());
}

TEST_CASE("what cannot be read back on the target travels again") {
    MemoryDisk source(noise());
    const std::vector<Range> durable{{0, 3 * mebibyte}};
    MemoryDisk target = unfinished(source.content(), durable);
    const Outcome outcome = run_session(
        source, target, {.durable = durable, .target_faults = {.unreadable = {{mebibyte + 5, 1}}}});
    require_copied(outcome, target, source.content());
    // A piece is told as a whole.
    CHECK(outcome.sent->bytes_same == 2 * mebibyte);
    CHECK(touched(target, {mebibyte, mebibyte}));
}

TEST_CASE("a target that had nothing is not asked what it has") {
    MemoryDisk source(noise());
    MemoryDisk target(source.content());
    const Outcome outcome = run_session(source, target);
    require_copied(outcome, target, source.content());
    CHECK_FALSE(outcome.sent->resumed);
    CHECK(outcome.sent->bytes_same == 0);
    CHECK(target.reads().empty());
}

TEST_CASE("what an epoch records was flushed before, and each byte is recorded once") {
    for (const EpochLength epoch : {EpochLength{.time = std::chrono::milliseconds(0)},
                                    EpochLength{.time = std::chrono::hours(1), .bytes = mebibyte},
                                    EpochLength{.time = std::chrono::hours(1)}}) {
        CAPTURE(epoch.bytes);
        MemoryDisk source(std::vector<std::byte>(20 * mebibyte, std::byte{7}));
        std::fill_n(source.content().begin() + 3 * mebibyte, mebibyte, std::byte{0});
        MemoryDisk target(20 * mebibyte, dirt);
        const bool short_epochs = epoch.time.count() == 0 || epoch.bytes == mebibyte;
        std::atomic<int> flushes{1000};
        const Outcome outcome =
            run_session(source, target,
                        {.streams = 2,
                         .compression = {Compression::Mode::none},
                         .epoch = epoch,
                         .source_faults = short_epochs ? waits_for_flushes(flushes, 999) : Faults{},
                         .target_faults = {.flushes_left = &flushes}});
        require_copied(outcome, target, source.content());
        std::uint64_t bytes = 0;
        for (const Range& range : outcome.recorded) {
            bytes += range.length;
        }
        CHECK(bytes == 20 * mebibyte);
        CHECK((outcome.epochs > 1) == short_epochs);
    }
}

TEST_CASE("after a flush that failed nothing is recorded any more and both sides fail") {
    MemoryDisk source(std::vector<std::byte>(20 * mebibyte, std::byte{7}));
    MemoryDisk target(20 * mebibyte, dirt, "target");
    std::atomic<int> flushes{2};
    const Outcome outcome = run_session(source, target,
                                        {.compression = {Compression::Mode::none},
                                         .epoch = {.time = std::chrono::milliseconds(0)},
                                         .source_faults = waits_for_flushes(flushes, 1),
                                         .target_faults = {.flushes_left = &flushes}});
    REQUIRE(outcome.failed_on_both_sides());
    CHECK(outcome.target_error->message() ==
          "cannot flush 'target' to its medium: Input/output error");
    CHECK(outcome.target_error->status() == ExitStatus::failed);
    CHECK(outcome.epochs == 2);
    CHECK(outcome.not_durable.empty());
}

namespace {

/// A target in memory that is met by a source made by hand.
class MetByHand {
public:
    explicit MetByHand(SessionOptions options)
        : options_(std::move(options)), disk_(handmade::disk_size, dirt),
          listener_(loopback_listener()), address_(listener_.address()),
          peers_(listening_peers(std::move(listener_), {}, std::chrono::seconds(0),
                                 [](std::string_view) {})),
          thread_([this] {
              try {
                  outcome_.received = run_target(disk_, *peers_, options_, outcome_);
              } catch (const Error& error) {
                  outcome_.target_error = error;
              }
          }) {}

    [[nodiscard]] const Address& address() const { return address_; }
    /// When the target has ended.
    [[nodiscard]] const Outcome& outcome() {
        if (thread_.joinable()) {
            thread_.join();
        }
        return outcome_;
    }

private:
    SessionOptions options_;
    MemoryDisk disk_;
    Outcome outcome_;
    Listener listener_;
    Address address_;
    std::unique_ptr<Peers> peers_;
    std::jthread thread_;
};

} // namespace

TEST_CASE("the source is told with each epoch how much is durable") {
    MetByHand target({.streams = 1, .epoch = {.time = std::chrono::milliseconds(0)}});
    handmade::HandmadeSource source(target.address());
    source.open_streams();
    const auto next_durable = [&] {
        const Message message = source.next_message();
        REQUIRE(message.type == FrameType::durable);
        return parse_durable(message.payload);
    };
    source.send_frame({.type = FrameType::zero, .raw_length = 8192});
    DurableMessage durable = next_durable();
    CHECK(durable.epoch == 1);
    CHECK(durable.bytes == 8192);
    source.send_frame({.type = FrameType::zero, .offset = 8192, .raw_length = 8292});
    durable = next_durable();
    CHECK(durable.epoch == 2);
    CHECK(durable.bytes == handmade::disk_size);
    source.end_streams();
    source.end(hex(root_of(handmade::geometry,
                           std::vector<Leaf>{zero_leaf(4096), zero_leaf(4096), zero_leaf(4096),
                                             zero_leaf(4096), zero_leaf(100)})));
    CHECK(source.next_message().type == FrameType::done);
    CHECK_FALSE(target.outcome().target_error.has_value());
}

TEST_CASE("a block that the target has not told of cannot be the same") {
    for (const bool resume : {false, true}) {
        CAPTURE(resume);
        SessionOptions options{.streams = 1};
        if (resume) {
            options.durable = {{4096, 4096}};
        }
        MetByHand target(options);
        {
            handmade::HandmadeSource source(target.address());
            source.open_streams();
            if (resume) {
                const std::vector<Range> expected{{0, 4096}, {4096, 4096}, {8192, 8292}};
                for (const Range& range : expected) {
                    const Message message = source.next_message();
                    CHECK(message.type == FrameType::hashes);
                    CHECK(message.range == range);
                    CHECK(message.payload.size() == (range.offset == 4096 ? 16 : 0));
                }
                source.send_frame({.type = FrameType::same, .offset = 4096, .raw_length = 4096});
            }
            source.send_frame({.type = FrameType::same, .offset = 8192, .raw_length = 4096});
            CHECK(source.next_message().type == FrameType::error);
        }
        REQUIRE(target.outcome().target_error.has_value());
        CHECK(target.outcome().target_error->message() ==
              "the peer broke the protocol: SAME for the block at 8192, which is not here");
        CHECK_FALSE(target.outcome().manifest.has_value());
    }
}

TEST_CASE("a block that comes before the target has told of it is refused and not written") {
    MemoryDisk disk(8192, dirt);
    for (const FrameType type : {FrameType::zero, FrameType::same, FrameType::data}) {
        CAPTURE(frame_name(type));
        TargetSession session(disk, {8192, 4096});
        session.told_until = 4096;
        ChannelPair pair = connected_pair({});
        FrameHeader header{.type = type, .offset = 4096, .raw_length = 4096};
        header.wire_length = type == FrameType::data ? 4096 : 0;
        pair.client.send(encode(header), {});
        CHECK_THROWS_WITH_AS(TargetWorker(session, pair.server).run({}),
                             "the peer broke the protocol: the block at 4096 came before the "
                             "HASHES for it",
                             Error);
    }
    CHECK(disk.untouched());
}

} // namespace coldspare::clone
