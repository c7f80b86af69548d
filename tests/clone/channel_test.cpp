#include "clone/channel.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/digest.hpp"
#include "tests/support/loopback.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <vector>

namespace coldspare::clone {

namespace {

const Security plain;

Security some_token() {
    return Token{std::byte{1}, std::byte{2}, std::byte{3}};
}

std::string error_of(const std::function<void()>& action) {
    return thrown_by(action).message();
}

} // namespace

TEST_CASE("what one end sends the other receives") {
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(static_cast<bool>(security));
        ChannelPair pair = connected_pair(security);
        const std::vector<std::byte> sent = random_bytes((5 << 20) + 3);
        std::jthread sender([&] { pair.client.send(sent, {}); });
        std::vector<std::byte> got(sent.size());
        pair.server.receive(got, {});
        sender.join();
        CHECK(got == sent);
        CHECK(pair.client.bytes_sent() == sent.size());
        CHECK(pair.server.bytes_received() == sent.size());
        CHECK_FALSE(pair.server.broken());
    }
}

TEST_CASE("pieces arrive as one stream of bytes") {
    // Blocks behind their headers, pieces around the size of a TLS record, and more pieces than one
    // call of the system takes.
    std::vector<std::size_t> sizes{48, 262144, 48, 262144, 0, 16383, 16384, 16385, 1, 0, 700'001};
    sizes.insert(sizes.end(), 3000, 7);
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(static_cast<bool>(security));
        ChannelPair pair = connected_pair(security);
        const std::vector<std::byte> sent = random_bytes(std::reduce(sizes.begin(), sizes.end()));
        std::vector<std::span<const std::byte>> pieces;
        std::size_t at = 0;
        for (const std::size_t size : sizes) {
            pieces.push_back(std::span(sent).subspan(at, size));
            at += size;
        }
        std::jthread sender([&] { pair.client.send(pieces, {}); });
        std::vector<std::byte> got(sent.size());
        pair.server.receive(got, {});
        sender.join();
        CHECK(got == sent);
        CHECK(pair.client.bytes_sent() == sent.size());
    }
}

TEST_CASE("what was taken before a stop goes first the next time") {
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(static_cast<bool>(security));
        ChannelPair pair = connected_pair(security);
        const std::vector<std::byte> much = random_bytes(32 << 20);
        std::stop_source source;
        std::jthread stopper([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            source.request_stop();
        });
        CHECK_THROWS_AS(pair.client.send(much, source.get_token()), Error);
        const std::size_t taken = pair.client.bytes_sent();
        REQUIRE(taken > 0);
        REQUIRE(taken < much.size());
        pair.server.set_deadline(in_seconds(60));
        std::jthread sender([&] { pair.client.send(std::span<const std::byte>(), {}); });
        std::vector<std::byte> got(taken);
        pair.server.receive(got, {});
        sender.join();
        CHECK(std::equal(got.begin(), got.end(), much.begin()));
        pair.client.send(as_byte_span("end"), {});
        std::array<std::byte, 3> end{};
        pair.server.receive(end, {});
        CHECK(std::ranges::equal(end, as_byte_span("end")));
    }
}

TEST_CASE("both ends may send at the same time") {
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(static_cast<bool>(security));
        ChannelPair pair = connected_pair(security);
        // Little enough for the sockets' buffers: one thread serves each end.
        const std::vector<std::byte> sent = random_bytes(10'000);
        std::vector<std::byte> at_client(sent.size());
        std::vector<std::byte> at_server(sent.size());
        std::jthread client([&] {
            pair.client.send(sent, {});
            pair.client.receive(at_client, {});
        });
        pair.server.send(sent, {});
        pair.server.receive(at_server, {});
        client.join();
        CHECK(at_client == sent);
        CHECK(at_server == sent);
    }
}

TEST_CASE("a connection without a byte is not readable and one with a byte is") {
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(static_cast<bool>(security));
        ChannelPair pair = connected_pair(security);
        CHECK_FALSE(pair.server.readable(std::chrono::milliseconds(1)));
        pair.client.send(as_byte_span("12"), {});
        CHECK(pair.server.readable(std::chrono::seconds(10)));
        std::array<std::byte, 1> one{};
        pair.server.receive(one, {});
        // The second byte may be in TLS already, where poll(2) does not see it.
        CHECK(pair.server.readable(std::chrono::seconds(10)));
    }
}

TEST_CASE("an end that closes is told by the other") {
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(static_cast<bool>(security));
        ChannelPair pair = connected_pair(security);
        const std::string peer = pair.server.peer();
        { const Channel gone = std::move(pair.client); }
        std::array<std::byte, 4> bytes{};
        CHECK_THROWS_WITH_AS(pair.server.receive(bytes, {}),
                             fmt::format("{} closed the connection", peer).c_str(), Error);
        CHECK(pair.server.broken());
    }
}

TEST_CASE("an end that closes in the middle is an error") {
    ChannelPair pair = connected_pair(plain);
    pair.client.send(as_byte_span("123"), {});
    { const Channel gone = std::move(pair.client); }
    std::array<std::byte, 4> bytes{};
    CHECK_THROWS_AS(pair.server.receive(bytes, {}), Error);
}

TEST_CASE("sending to an end that is gone is an error and not a signal") {
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(static_cast<bool>(security));
        ChannelPair pair = connected_pair(security);
        { const Channel gone = std::move(pair.client); }
        const std::vector<std::byte> bytes(64 << 20);
        CHECK(contains(error_of([&] { pair.server.send(bytes, {}); }), " broke: "));
        CHECK(pair.server.broken());
    }
}

TEST_CASE("a stop ends each wait") {
    const auto check_ends = [](const std::function<void(std::stop_token)>& wait) {
        std::stop_source source;
        const std::jthread stopper([&] { source.request_stop(); });
        const Error error = thrown_by([&] { wait(source.get_token()); });
        CHECK(error.status() == ExitStatus::interrupted);
    };
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(static_cast<bool>(security));
        ChannelPair pair = connected_pair(security);
        std::array<std::byte, 4> bytes{};
        check_ends([&](std::stop_token stop) { pair.server.receive(bytes, stop); });
        const std::vector<std::byte> much(64 << 20);
        check_ends([&](std::stop_token stop) { pair.client.send(much, stop); });
    }
    Listener listener = loopback_listener();
    check_ends([&](std::stop_token stop) {
        for (;;) {
            static_cast<void>(listener.accept(stop));
        }
    });
    Channel silent = Channel::connect(listener.address(), {});
    check_ends([&](std::stop_token stop) { silent.secure(some_token(), stop); });
}

TEST_CASE("a deadline that has passed ends a wait") {
    ChannelPair pair = connected_pair(plain);
    pair.server.set_deadline(Clock::now() - std::chrono::seconds(1));
    std::array<std::byte, 4> bytes{};
    CHECK_THROWS_WITH_AS(pair.server.receive(bytes, {}),
                         fmt::format("{} did not answer in time", pair.server.peer()).c_str(),
                         Error);
    pair.server.set_deadline(std::nullopt);
    pair.client.send(as_byte_span("1234"), {});
    CHECK_NOTHROW(pair.server.receive(bytes, {}));
}

TEST_CASE("a port where nobody listens is told") {
    Address address;
    {
        const Listener listener = loopback_listener();
        address = listener.address();
    }
    const Error error = thrown_by([&] { static_cast<void>(Channel::connect(address, {})); });
    CHECK(error.message() ==
          fmt::format("cannot connect to 127.0.0.1:{}: Connection refused", address.port));
    CHECK(error.hint() == "is the other side listening there, and does a firewall let it through?");
}

TEST_CASE("a name that nobody knows is told") {
    const Error error = thrown_by([] {
        static_cast<void>(Channel::connect({"no such name", "10000"}, {}));
    });
    CHECK(error.message().starts_with("cannot resolve 'no such name:10000': "));
}

} // namespace coldspare::clone
