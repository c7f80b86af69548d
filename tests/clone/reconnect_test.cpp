// Sessions that were lost, and the peers that meet again.
#include "base/clock.hpp"
#include "clone/manifest.hpp"
#include "clone/target.hpp"
#include "tests/support/handmade_source.hpp"
#include "tests/support/handmade_target.hpp"
#include "tests/support/session.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <optional>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

const Notice quiet = [](std::string_view) {};
const std::string hint_to_go_on = go_on_hint;

Hello hello_of(Role role) {
    return {.program = "coldspare test", .role = role, .features = {"zstd"}};
}

/// A target that listens and a source that connects.
class Pair {
public:
    explicit Pair(const Security& security, std::chrono::seconds retry_for)
        : listener_(loopback_listener()), address_(listener_.address()),
          target(listening_peers(std::move(listener_), security, retry_for, notices.sink())),
          source(connecting_peers(address_, security, retry_for, quiet)) {}

    /// Both meet; their control connections.
    std::pair<Peers::Control, Peers::Control> meet() {
        auto theirs = std::async(std::launch::async,
                                 [&] { return target->open_control(hello_of(Role::target), {}); });
        Peers::Control ours = source->open_control(hello_of(Role::source), {});
        return {std::move(ours), theirs.get()};
    }

    [[nodiscard]] const Address& address() const { return address_; }

private:
    Listener listener_;
    Address address_;

public:
    Notices notices;
    std::unique_ptr<Peers> target;
    std::unique_ptr<Peers> source;
};

} // namespace

TEST_CASE("peers that lost each other meet again, as often as it takes") {
    for (const Security& security : {Security(), Security(Token{std::byte{7}})}) {
        CAPTURE(static_cast<bool>(security));
        Pair pair(security, std::chrono::seconds(20));
        for (int i = 0; i < 3; ++i) {
            const auto [ours, theirs] = pair.meet();
            CHECK(ours.theirs.role == Role::target);
            CHECK(theirs.theirs.role == Role::source);
        }
        CHECK(pair.notices.texts().empty());
    }
}

TEST_CASE("a listening side whose peer does not come back gives up with status 3") {
    Pair pair({}, std::chrono::seconds(0));
    { const auto met = pair.meet(); }
    const Error error = thrown_by(
        [&] { static_cast<void>(pair.target->open_control(hello_of(Role::target), {})); });
    CHECK(error.message() == "the other side did not come back within 0 s");
    CHECK(error.hint() == hint_to_go_on);
    CHECK(error.status() == ExitStatus::incomplete);
}

TEST_CASE("a connecting side whose peer does not come back gives up with status 3") {
    Pair pair({}, std::chrono::seconds(0));
    { const auto met = pair.meet(); }
    pair.target.reset();
    const Error error = thrown_by(
        [&] { static_cast<void>(pair.source->open_control(hello_of(Role::source), {})); });
    CHECK(error.hint() == hint_to_go_on);
    CHECK(error.status() == ExitStatus::incomplete);
}

TEST_CASE("waiting for a peer to come back ends with a stop") {
    Pair pair({}, std::chrono::hours(1));
    { const auto met = pair.meet(); }
    std::stop_source stop;
    stop.request_stop();
    CHECK(thrown_by([&] {
              static_cast<void>(
                  pair.target->open_control(hello_of(Role::target), stop.get_token()));
          }).status() == ExitStatus::interrupted);
    pair.target.reset();
    CHECK(thrown_by([&] {
              static_cast<void>(
                  pair.source->open_control(hello_of(Role::source), stop.get_token()));
          }).status() == ExitStatus::interrupted);
}

TEST_CASE("who comes during a session is met after it") {
    Pair pair({}, std::chrono::seconds(20));
    std::optional<std::pair<Peers::Control, Peers::Control>> session(pair.meet());
    auto next = std::async(std::launch::async, [&] {
        return connecting_peers(pair.address(), {}, std::chrono::seconds(5), quiet)
            ->open_control(hello_of(Role::source), {});
    });
    session.reset();
    const Peers::Control theirs = pair.target->open_control(hello_of(Role::target), {});
    CHECK(theirs.theirs.role == Role::source);
    CHECK(next.get().theirs.role == Role::target);
}

TEST_CASE("a token that is wrong at the first meeting fails at once, however patient one is") {
    Pair pair(Security(Token{std::byte{7}}), std::chrono::hours(1));
    const auto peers = connecting_peers(pair.address(), Security(Token{std::byte{8}}),
                                        std::chrono::hours(1), quiet);
    const TimePoint began = Clock::now();
    const Error error =
        thrown_by([&] { static_cast<void>(peers->open_control(hello_of(Role::source), {})); });
    CHECK(error.status() == ExitStatus::failed);
    CHECK(Clock::now() - began < std::chrono::seconds(20));
}

namespace {

constexpr std::uint64_t size = handmade::disk_size;

std::vector<std::byte> handmade_content() {
    std::vector<std::byte> content(size);
    fill_pattern(content, 0);
    return content;
}

} // namespace

TEST_CASE("a target whose source was lost in the middle keeps what it has and goes on with it") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    Listener listener = loopback_listener();
    const Address address = listener.address();
    const auto peers = listening_peers(std::move(listener), {}, std::chrono::seconds(20), quiet);
    Target target({.path = path, .state_dir = directory.path()});
    const auto receive = [&] {
        return receive_disk(*peers,
                            {.program = "coldspare test",
                             .streams = 1,
                             .epoch = {.time = std::chrono::milliseconds(0)}},
                            target, [](const Progress&) {}, {});
    };
    auto first = std::async(std::launch::async, receive);
    {
        handmade::HandmadeSource source(address);
        source.open_streams();
        // Zeros are written at once, where blocks wait for their neighbours.
        source.send_frame({.type = FrameType::zero, .raw_length = 2 * 4096});
        CHECK(source.next_message().type == FrameType::durable);
    }
    const Error lost = thrown_by([&] { static_cast<void>(first.get()); });
    CHECK(lost.status() == ExitStatus::incomplete);
    CHECK(lost.hint() == hint_to_go_on);
    CHECK(target.unfinished());
    CHECK(read_journal(journal_path(path, directory.path()))->durable ==
          std::vector<Range>{{0, 2 * 4096}});

    std::vector<std::byte> content = handmade_content();
    std::fill_n(content.begin(), 2 * 4096, std::byte{0});
    MemoryDisk disk(content, "handmade");
    auto second = std::async(std::launch::async, receive);
    const CopyReport sent =
        send_disk(disk, *connecting_peers(address, {}, std::chrono::seconds(5), quiet),
                  {.program = "coldspare test", .streams = 1, .block_size = handmade::block_size},
                  [](const Progress&) {}, {});
    CHECK(second.get().resumed);
    CHECK(sent.resumed);
    CHECK(sent.bytes_same == 2 * 4096);
    const std::string copy = read_file(path, 1 << 20);
    CHECK(same_bytes(as_byte_span(copy), content));
    CHECK(fs::exists(target.manifest()));
    CHECK_FALSE(fs::exists(journal_path(path, directory.path())));
}

TEST_CASE("a source whose target was lost in the middle meets it again") {
    Listener listener = loopback_listener();
    const Address address = listener.address();
    const auto peers = listening_peers(std::move(listener), {}, std::chrono::seconds(20), quiet);
    MemoryDisk disk(handmade_content());
    const auto send = [&] {
        return send_disk(
            disk, *peers,
            {.program = "coldspare test", .streams = 1, .block_size = handmade::block_size},
            [](const Progress&) {}, {});
    };
    auto first = std::async(std::launch::async, send);
    {
        handmade::HandmadeTarget target(address);
        target.open_stream(CopyMode::resume);
        target.tell({0, 4096});
    }
    CHECK(thrown_by([&] { static_cast<void>(first.get()); }).status() == ExitStatus::incomplete);
    auto second = std::async(std::launch::async, send);
    MemoryDisk target(size, std::byte{0xFF});
    Outcome outcome;
    const auto back = connecting_peers(address, {}, std::chrono::seconds(5), quiet);
    CHECK_NOTHROW(static_cast<void>(run_target(target, *back, {}, outcome)));
    CHECK_NOTHROW(static_cast<void>(second.get()));
    CHECK(target.content() == disk.content());
}

} // namespace coldspare::clone
