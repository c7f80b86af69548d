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

/// What each end says when the client comes with one kind of security and the server has another.
struct Mismatch {
    std::optional<Error> client;
    std::optional<Error> server;
};

Mismatch shake_hands(const Security& client_security, const Security& server_security) {
    Listener listener = loopback_listener();
    Mismatch mismatch;
    std::jthread client([&] {
        try {
            Channel channel = Channel::connect(listener.address(), {});
            channel.set_deadline(in_seconds(10));
            channel.secure(client_security, {});
            channel.send(as_byte_span(std::string(48, 'x')), {});
            std::array<std::byte, 48> answer{};
            channel.receive(answer, {});
        } catch (const Error& error) {
            mismatch.client = error;
        }
    });
    try {
        Channel channel = accept_one(listener).handshake(server_security, in_seconds(10), {});
        std::array<std::byte, 48> asked{};
        channel.receive(asked, {});
        channel.send(asked, {});
    } catch (const Error& error) {
        mismatch.server = error;
    }
    client.join();
    return mismatch;
}

} // namespace

TEST_CASE("addresses are read in each form") {
    struct Row {
        std::string_view text;
        AddressUse use;
        std::string_view host;
        std::string_view port;
        std::string_view shown;
    };
    constexpr std::array<Row, 8> table{{
        {"10000", AddressUse::listen, "", "10000", "*:10000"},
        {":10000", AddressUse::listen, "", "10000", "*:10000"},
        {"0", AddressUse::listen, "", "0", "*:0"},
        {"192.0.2.7:1", AddressUse::listen, "192.0.2.7", "1", "192.0.2.7:1"},
        {"[::1]:65535", AddressUse::listen, "::1", "65535", "[::1]:65535"},
        {"host.example:10000", AddressUse::connect, "host.example", "10000", "host.example:10000"},
        {"[2001:db8::1]:10000", AddressUse::connect, "2001:db8::1", "10000", "[2001:db8::1]:10000"},
        {"192.0.2.7:10000", AddressUse::connect, "192.0.2.7", "10000", "192.0.2.7:10000"},
    }};
    for (const Row& row : table) {
        CAPTURE(row.text);
        const Address address = parse_address(row.text, row.use);
        CHECK(address.host == row.host);
        CHECK(address.port == row.port);
        CHECK(address.text() == row.shown);
    }
}

TEST_CASE("what is not an address is wrong usage") {
    struct Row {
        std::string_view text;
        AddressUse use;
    };
    constexpr std::array<Row, 13> table{{
        {"", AddressUse::listen},
        {"x", AddressUse::listen},
        {"65536", AddressUse::listen},
        {"host:", AddressUse::listen},
        {"::1", AddressUse::listen},
        {"2001:db8::1:10000", AddressUse::connect},
        {"[::1]10000", AddressUse::connect},
        {"[::1", AddressUse::connect},
        {"10000", AddressUse::connect},
        {":10000", AddressUse::connect},
        {"host:0", AddressUse::connect},
        {"host:-1", AddressUse::connect},
        {"host:100000000000000000000", AddressUse::connect},
    }};
    for (const Row& row : table) {
        CAPTURE(row.text);
        const Error error = thrown_by([&] { static_cast<void>(parse_address(row.text, row.use)); });
        CHECK(error.message() == fmt::format("'{}' is not an address", row.text));
        CHECK(error.status() == ExitStatus::usage);
        CHECK(error.hint() == (row.use == AddressUse::listen
                                   ? "write PORT, ADDRESS:PORT or [IPV6]:PORT, for example 10000"
                                   : "write HOST:PORT or [IPV6]:PORT, for example "
                                     "192.0.2.10:10000"));
    }
}

TEST_CASE("what one end sends the other receives") {
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(security.has_value());
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
        CAPTURE(security.has_value());
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
        CAPTURE(security.has_value());
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
        std::jthread sender([&] { pair.client.send(as_byte_span("end"), {}); });
        std::vector<std::byte> got(taken);
        pair.server.receive(got, {});
        CHECK(std::equal(got.begin(), got.end(), much.begin()));
        std::array<std::byte, 3> end{};
        pair.server.receive(end, {});
        CHECK(std::ranges::equal(end, as_byte_span("end")));
    }
}

TEST_CASE("the keys of a long connection are renewed") {
    constexpr std::size_t every = 1 << 20;
    constexpr std::size_t size = 20 * every;
    ChannelPair pair = connected_pair(some_token());
    const std::vector<std::byte> to_server = random_bytes(size);
    const std::vector<std::byte> to_client = random_bytes(size);
    std::vector<std::byte> at_server(size);
    std::vector<std::byte> at_client(size);
    pair.client.renew_key_every(every);
    pair.server.renew_key_every(every);
    std::jthread server([&] {
        pair.server.receive(at_server, {});
        pair.server.send(to_client, {});
    });
    pair.client.send(to_server, {});
    pair.client.receive(at_client, {});
    server.join();
    CHECK((at_server == to_server));
    CHECK((at_client == to_client));
    // An update is due after each MiB, and travels with whatever that end does next. For the last
    // one at the server that is nothing.
    CHECK(pair.client.key_updates().sent == 20);
    CHECK(pair.server.key_updates().received == 19);
    CHECK(pair.server.key_updates().sent == 19);
    CHECK(pair.client.key_updates().received == 19);
}

TEST_CASE("a short connection keeps its keys") {
    for (const Security& security : {plain, some_token()}) {
        ChannelPair pair = connected_pair(security);
        std::array<std::byte, 4> bytes{};
        pair.client.send(bytes, {});
        pair.server.receive(bytes, {});
        CHECK(pair.client.key_updates().sent == 0);
        CHECK(pair.server.key_updates().received == 0);
    }
}

TEST_CASE("both ends may send at the same time") {
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(security.has_value());
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
        CAPTURE(security.has_value());
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
        CAPTURE(security.has_value());
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
        CAPTURE(security.has_value());
        ChannelPair pair = connected_pair(security);
        { const Channel gone = std::move(pair.client); }
        const std::vector<std::byte> bytes(64 << 20);
        CHECK(contains(error_of([&] { pair.server.send(bytes, {}); }), " broke: "));
        CHECK(pair.server.broken());
    }
}

TEST_CASE("another token is refused and both ends are told") {
    Token other = *some_token();
    other[15] = std::byte{1};
    const Mismatch mismatch = shake_hands(some_token(), other);
    REQUIRE(mismatch.client.has_value());
    REQUIRE(mismatch.server.has_value());
    for (const Error& error : {*mismatch.client, *mismatch.server}) {
        CAPTURE(error.message());
        CHECK((contains(error.message(), "no secure connection with ") ||
               contains(error.message(), " broke")));
        CHECK(contains(error.hint(), "both sides need the same token"));
    }
}

TEST_CASE("TLS on the connecting side only is told on both") {
    const Mismatch mismatch = shake_hands(some_token(), plain);
    REQUIRE(mismatch.client.has_value());
    CHECK(contains(mismatch.client->message(), "no secure connection with 127.0.0.1:"));
    CHECK(mismatch.client->hint() ==
          "both sides need the same token, and both TLS (no --insecure)");
}

TEST_CASE("TLS on the listening side only is told on both") {
    const Mismatch mismatch = shake_hands(plain, some_token());
    REQUIRE(mismatch.client.has_value());
    REQUIRE(mismatch.server.has_value());
    CHECK(contains(mismatch.server->message(), "no secure connection with 127.0.0.1:"));
    CHECK(mismatch.server->hint() ==
          "both sides need the same token, and both TLS (no --insecure)");
}

TEST_CASE("a stop ends each wait within a second") {
    const auto milliseconds_after_stop = [](const std::function<void(std::stop_token)>& wait) {
        std::stop_source source;
        TimePoint asked;
        std::jthread stopper([&] {
            asked = Clock::now();
            source.request_stop();
        });
        const Error error = thrown_by([&] { wait(source.get_token()); });
        const TimePoint ended = Clock::now();
        stopper.join();
        CHECK(error.status() == ExitStatus::interrupted);
        return std::chrono::duration_cast<std::chrono::milliseconds>(ended - asked).count();
    };
    for (const Security& security : {plain, some_token()}) {
        CAPTURE(security.has_value());
        ChannelPair pair = connected_pair(security);
        std::array<std::byte, 4> bytes{};
        CHECK(milliseconds_after_stop(
                  [&](std::stop_token stop) { pair.server.receive(bytes, stop); }) < 1000);
        const std::vector<std::byte> much(64 << 20);
        CHECK(milliseconds_after_stop([&](std::stop_token stop) { pair.client.send(much, stop); }) <
              1000);
    }
    Listener listener = loopback_listener();
    CHECK(milliseconds_after_stop([&](std::stop_token stop) {
              for (;;) {
                  static_cast<void>(listener.accept(stop));
              }
          }) < 1000);
    Channel silent = Channel::connect(listener.address(), {});
    CHECK(milliseconds_after_stop(
              [&](std::stop_token stop) { silent.secure(some_token(), stop); }) < 1000);
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
