#include "clone/peers.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/loopback.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <atomic>
#include <optional>

namespace coldspare::clone {

namespace {

Security some_token() {
    return Token{std::byte{7}};
}

Hello source_hello() {
    return {.program = "coldspare test", .role = Role::source, .features = {"zstd"}};
}

Hello target_hello() {
    return {.program = "coldspare test", .role = Role::target, .features = {"zstd"}};
}

/// A listening target in a thread of its own that waits for its source.
class WaitingTarget {
public:
    explicit WaitingTarget(Security security)
        : listener_(loopback_listener()), address_(listener_.address()),
          peers_(listening_peers(std::move(listener_), security, std::chrono::seconds(0),
                                 notices_.sink())),
          thread_([this](std::stop_token stop) {
              try {
                  control_.emplace(peers_->open_control(target_hello(), stop));
              } catch (const Error& error) {
                  failure_ = error;
              }
          }) {}

    [[nodiscard]] const Address& address() const { return address_; }
    [[nodiscard]] Notices& notices() { return notices_; }
    [[nodiscard]] Peers& peers() { return *peers_; }

    /// Waits until the source has come.
    [[nodiscard]] Peers::Control& control() {
        thread_.join();
        REQUIRE(control_.has_value());
        return *control_;
    }

private:
    Notices notices_;
    Listener listener_;
    Address address_;
    std::unique_ptr<Peers> peers_;
    std::optional<Peers::Control> control_;
    std::optional<Error> failure_;
    std::jthread thread_;
};

Peers::Control come_as_source(const Address& address, const Security& security) {
    return connecting_peers(address, security, std::chrono::seconds(0), [](std::string_view) {})
        ->open_control(source_hello(), {});
}

} // namespace

TEST_CASE("both sides know each other and what they agreed on") {
    for (const Security& security : {Security(), some_token()}) {
        CAPTURE(static_cast<bool>(security));
        WaitingTarget target(security);
        const Peers::Control ours = come_as_source(target.address(), security);
        CHECK(ours.theirs.role == Role::target);
        CHECK(ours.agreement.zstd);
        CHECK(target.control().theirs.role == Role::source);
        CHECK(target.notices().texts().empty());
    }
}

TEST_CASE("a port scan is turned away and the right one still gets through") {
    for (const Security& security : {Security(), some_token()}) {
        CAPTURE(static_cast<bool>(security));
        WaitingTarget target(security);
        { const Channel scan = Channel::connect(target.address(), {}); }
        {
            Channel web = Channel::connect(target.address(), {});
            web.send(as_byte_span("GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nAccept: */*\r\n"),
                     {});
            std::array<std::byte, 4096> answer;
            CHECK_THROWS_AS(web.receive(answer, {}), Error);
        }
        const Peers::Control ours = come_as_source(target.address(), security);
        CHECK(target.control().theirs.role == Role::source);
        CHECK(target.notices().mention("turned away 127.0.0.1:"));
    }
}

TEST_CASE("a wrong token is turned away and the right one still gets through") {
    WaitingTarget target(some_token());
    CHECK_THROWS_AS(static_cast<void>(come_as_source(target.address(), Token{std::byte{8}})),
                    Error);
    const Peers::Control ours = come_as_source(target.address(), some_token());
    CHECK(target.control().theirs.role == Role::source);
    CHECK(target.notices().mention("no secure connection with 127.0.0.1:"));
}

TEST_CASE("a silent stranger holds up nobody") {
    WaitingTarget target(some_token());
    const Channel silent = Channel::connect(target.address(), {});
    const TimePoint began = Clock::now();
    const Peers::Control ours = come_as_source(target.address(), some_token());
    CHECK(target.control().theirs.role == Role::source);
    CHECK(Clock::now() - began < std::chrono::seconds(5));
}

TEST_CASE("a crowd of silent strangers is bounded and forgotten when it leaves") {
    WaitingTarget target(some_token());
    {
        std::vector<Channel> crowd;
        for (int i = 0; i < 40; ++i) {
            crowd.push_back(Channel::connect(target.address(), {}));
        }
    }
    const Peers::Control ours = come_as_source(target.address(), some_token());
    CHECK(target.control().theirs.role == Role::source);
}

TEST_CASE("one of the same role is turned away with the reason") {
    WaitingTarget target(some_token());
    const auto peers = connecting_peers(target.address(), some_token(), std::chrono::seconds(0),
                                        [](std::string_view) {});
    const Error error =
        thrown_by([&] { static_cast<void>(peers->open_control(target_hello(), {})); });
    CHECK(contains(error.message(), "reports: both sides are the target"));
    CHECK(error.hint() == "run 'coldspare send' on one side and 'coldspare receive' on the other");
    const Peers::Control ours = come_as_source(target.address(), some_token());
    CHECK(target.control().theirs.role == Role::source);
    CHECK(target.notices().mention("both sides are the target"));
}

TEST_CASE("one of another version is turned away with the reason") {
    WaitingTarget target({});
    Hello later = source_hello();
    later.oldest_version = later.newest_version = 9;
    const auto peers =
        connecting_peers(target.address(), {}, std::chrono::seconds(0), [](std::string_view) {});
    CHECK_THROWS_WITH_AS(
        static_cast<void>(peers->open_control(later, {})),
        "the other side reports: the peer (coldspare test) speaks protocol versions 9 "
        "to 9, this program 1 to 1",
        Error);
    const Peers::Control ours = come_as_source(target.address(), {});
    CHECK(target.control().theirs.role == Role::source);
}

TEST_CASE("a data connection before its session is turned away") {
    WaitingTarget target({});
    const auto peers =
        connecting_peers(target.address(), {}, std::chrono::seconds(0), [](std::string_view) {});
    const Hello stray{
        .role = Role::source, .kind = ConnectionKind::data, .session = std::string(32, 'a')};
    CHECK_THROWS_WITH_AS(static_cast<void>(peers->open_data(stray, {})),
                         "the other side reports: it belongs to no session of ours", Error);
    const Peers::Control ours = come_as_source(target.address(), {});
    CHECK(target.control().theirs.role == Role::source);
}

TEST_CASE("a data connection of another session is turned away and the right one is taken") {
    WaitingTarget target({});
    const Peers::Control ours = come_as_source(target.address(), {});
    static_cast<void>(target.control());
    const std::string session(32, 'a');
    std::optional<Channel> taken;
    std::jthread accepting([&] {
        taken.emplace(target.peers().open_data(
            {.role = Role::target, .kind = ConnectionKind::data, .session = session, .stream = 0},
            {}));
    });
    const auto peers =
        connecting_peers(target.address(), {}, std::chrono::seconds(0), [](std::string_view) {});
    const auto hello = [](const std::string& id, unsigned stream) {
        return Hello{
            .role = Role::source, .kind = ConnectionKind::data, .session = id, .stream = stream};
    };
    const std::string busy = "the other side reports: this side is busy with another session";
    CHECK_THROWS_WITH_AS(static_cast<void>(peers->open_data(hello(std::string(32, 'b'), 0), {})),
                         busy.c_str(), Error);
    CHECK_THROWS_WITH_AS(static_cast<void>(peers->open_data(hello(session, 1), {})), busy.c_str(),
                         Error);
    CHECK_THROWS_WITH_AS(static_cast<void>(peers->open_control(source_hello(), {})), busy.c_str(),
                         Error);
    CHECK_NOTHROW(static_cast<void>(peers->open_data(hello(session, 0), {})));
    accepting.join();
    CHECK(taken.has_value());
}

TEST_CASE("the connecting side waits for the listener and says so once") {
    Address address;
    {
        const Listener listener = loopback_listener();
        address = listener.address();
    }
    Notices notices;
    std::optional<Peers::Control> ours;
    std::optional<Error> failure;
    std::jthread source([&](std::stop_token stop) {
        try {
            ours.emplace(connecting_peers(address, {}, std::chrono::seconds(30), notices.sink())
                             ->open_control(source_hello(), stop));
        } catch (const Error& error) {
            failure = error;
        }
    });
    while (notices.texts().empty()) {
        std::this_thread::yield();
    }
    const auto peers =
        listening_peers(Listener(address), {}, std::chrono::seconds(0), [](std::string_view) {});
    const Peers::Control theirs = peers->open_control(target_hello(), {});
    source.join();
    CHECK_FALSE(failure.has_value());
    CHECK(ours.has_value());
    CHECK(notices.texts() == std::vector<std::string>{
                                 fmt::format("waiting for 127.0.0.1:{} to listen", address.port)});
}

TEST_CASE("waiting for a listener ends with a stop") {
    Address address;
    {
        const Listener listener = loopback_listener();
        address = listener.address();
    }
    std::stop_source source;
    const Error error = thrown_by([&] {
        static_cast<void>(
            connecting_peers(address, {}, std::chrono::hours(1), [&](std::string_view) {
                source.request_stop();
            })->open_control(source_hello(), source.get_token()));
    });
    CHECK(error.status() == ExitStatus::interrupted);
}

TEST_CASE("waiting for a peer ends with a stop") {
    std::stop_source source;
    const auto peers = listening_peers(loopback_listener(), some_token(), std::chrono::seconds(0),
                                       [](std::string_view) {});
    std::jthread stopper([&] { source.request_stop(); });
    const Error error = thrown_by(
        [&] { static_cast<void>(peers->open_control(target_hello(), source.get_token())); });
    CHECK(error.status() == ExitStatus::interrupted);
}

TEST_CASE("the connecting side that uses plain TCP is told to use TLS like the listener") {
    WaitingTarget target(some_token());
    const Error error = thrown_by([&] { static_cast<void>(come_as_source(target.address(), {})); });
    CHECK(contains(error.hint(), "both sides must use TLS, or both --insecure"));
    const Peers::Control ours = come_as_source(target.address(), some_token());
    CHECK(target.control().theirs.role == Role::source);
}

TEST_CASE("the listening side that uses plain TCP tells what came to it") {
    WaitingTarget target({});
    const Error error =
        thrown_by([&] { static_cast<void>(come_as_source(target.address(), some_token())); });
    CHECK(contains(error.hint(), "both TLS (no --insecure)"));
    const Peers::Control ours = come_as_source(target.address(), {});
    CHECK(target.control().theirs.role == Role::source);
    CHECK(target.notices().mention("what the other side sent is not the coldspare protocol"));
}

TEST_CASE("messages come in order and as they were sent") {
    ChannelPair pair = connected_pair({});
    const std::string large(largest_json, 'x');
    std::jthread sender([&] {
        send_message(pair.client, FrameType::plan, "one", {});
        send_message(pair.client, FrameType::ready, "", {});
        send_message(pair.client, FrameType::error, large, {});
    });
    Message message = receive_message(pair.server, {});
    CHECK(message.type == FrameType::plan);
    CHECK(message.payload == "one");
    message = receive_message(pair.server, {});
    CHECK(message.type == FrameType::ready);
    CHECK(message.payload.empty());
    message = receive_message(pair.server, {});
    CHECK(message.type == FrameType::error);
    CHECK(message.payload == large);
}

TEST_CASE("a message whose payload was damaged is refused") {
    ChannelPair pair = connected_pair({});
    FrameHeader header{.type = FrameType::plan, .wire_length = 3};
    header.hash = hash_block(as_byte_span("one"));
    pair.client.send(encode(header), {});
    pair.client.send(as_byte_span("onf"), {});
    CHECK_THROWS_WITH_AS(static_cast<void>(receive_message(pair.server, {})),
                         "a PLAN frame was damaged on the way", Error);
}

TEST_CASE("a message that is too long is refused before its payload is read") {
    ChannelPair pair = connected_pair({});
    pair.client.send(encode(FrameHeader{.type = FrameType::plan, .wire_length = UINT32_MAX}), {});
    CHECK(
        contains(thrown_by([&] { static_cast<void>(receive_message(pair.server, {})); }).message(),
                 "PLAN with a payload of 4294967295 bytes"));
}

TEST_CASE("an unknown message is skipped if it may be and a known one never") {
    ChannelPair pair = connected_pair({});
    const auto send = [&](std::uint8_t type, std::string_view payload) {
        FrameHeader header{.type = static_cast<FrameType>(type),
                           .flags = flag_ignorable,
                           .wire_length = static_cast<std::uint32_t>(payload.size()),
                           .hash = hash_block(as_byte_span(payload))};
        pair.client.send(encode(header), {});
        pair.client.send(as_byte_span(payload), {});
    };
    send(0x6f, "of a later version");
    send(0x05, "an error");
    const Message message = receive_message(pair.server, {});
    CHECK(message.type == FrameType::error);
    CHECK(message.payload == "an error");
}

} // namespace coldspare::clone
