#include "clone/tls.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/channel.hpp"
#include "clone/digest.hpp"
#include "tests/support/loopback.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

namespace coldspare::clone {

namespace {

const Security plain;

Token some_token() {
    return Token{std::byte{1}, std::byte{2}, std::byte{3}};
}

/// Two machines that are paired, and one that is a stranger to both.
struct Machines {
    Identity here = make_identity();
    Identity there = make_identity();
    Identity stranger = make_identity();
};

const Machines& machines() {
    static const Machines made;
    return made;
}

Security pinned(const Identity& own, const Identity& theirs) {
    return Pinned{"mail", own, theirs.fingerprint};
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
            channel.set_deadline(in_seconds(60));
            channel.secure(client_security, {});
            channel.send(as_byte_span(std::string(48, 'x')), {});
            std::array<std::byte, 48> answer{};
            channel.receive(answer, {});
        } catch (const Error& error) {
            mismatch.client = error;
        }
    });
    try {
        Channel channel = accept_one(listener).handshake(server_security, in_seconds(60), {});
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
    for (const Security& security : {plain, Security(some_token())}) {
        ChannelPair pair = connected_pair(security);
        std::array<std::byte, 4> bytes{};
        pair.client.send(bytes, {});
        pair.server.receive(bytes, {});
        CHECK(pair.client.key_updates().sent == 0);
        CHECK(pair.server.key_updates().received == 0);
    }
}

TEST_CASE("another token is refused and both ends are told") {
    Token other = some_token();
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

TEST_CASE("machines that are paired need no token") {
    const auto& [here, there, stranger] = machines();
    Listener listener = loopback_listener();
    Channel client = Channel::connect(listener.address(), {});
    Listener::Pending pending = accept_one(listener);
    std::jthread shaking([&] { client.secure(pinned(here, there), {}); });
    Channel server = pending.handshake(pinned(there, here), in_seconds(60), {});
    shaking.join();
    client.send(as_byte_span("1234"), {});
    std::array<std::byte, 4> bytes{};
    server.receive(bytes, {});
    CHECK(std::ranges::equal(bytes, as_byte_span("1234")));
}

TEST_CASE("a listening stranger is refused by the side that connects") {
    const auto& [here, there, stranger] = machines();
    const Mismatch mismatch = shake_hands(pinned(here, there), pinned(stranger, here));
    REQUIRE(mismatch.client.has_value());
    REQUIRE(mismatch.server.has_value());
    CHECK(mismatch.client->status() == ExitStatus::refused);
    CHECK(contains(mismatch.client->message(), "refusing to talk to 127.0.0.1:"));
    CHECK(contains(mismatch.client->message(),
                   fmt::format(" as 'mail': its fingerprint is {}, the one that was paired is {}",
                               shortened(stranger.fingerprint), shortened(there.fingerprint))));
    CHECK(contains(mismatch.client->hint(), "'coldspare pair forget mail' on both"));
    CHECK(contains(mismatch.server->message(),
                   fmt::format("turns this machine away, whose fingerprint is {}",
                               shortened(stranger.fingerprint))));
}

TEST_CASE("a connecting stranger is refused by the side that listens and is told") {
    const auto& [here, there, stranger] = machines();
    // Many times: the refusal crosses what the client sends in the belief that all is well.
    for (int i = 0; i < 50; ++i) {
        const Mismatch mismatch = shake_hands(pinned(stranger, there), pinned(there, here));
        REQUIRE(mismatch.client.has_value());
        REQUIRE(mismatch.server.has_value());
        CHECK(mismatch.client->status() == ExitStatus::refused);
        CHECK(contains(mismatch.client->message(),
                       fmt::format(" ('mail', fingerprint {}) turns this machine away, whose "
                                   "fingerprint is {}: it is paired with another",
                                   shortened(there.fingerprint), shortened(stranger.fingerprint))));
        CHECK(contains(mismatch.client->hint(), "'coldspare pair forget mail' on both"));
        CHECK(mismatch.server->status() == ExitStatus::refused);
        CHECK(contains(mismatch.server->message(),
                       fmt::format(" as 'mail': its fingerprint is {}, the one that was paired is "
                                   "{}",
                                   shortened(stranger.fingerprint), shortened(here.fingerprint))));
    }
}

TEST_CASE("a stranger that goes on sending learns why it was turned away") {
    const auto& [here, there, stranger] = machines();
    Listener listener = loopback_listener();
    std::jthread server([&] {
        // The connection is closed when this has thrown.
        CHECK_THROWS_AS(static_cast<void>(accept_one(listener).handshake(pinned(there, here),
                                                                         in_seconds(60), {})),
                        Error);
    });
    Channel client = Channel::connect(listener.address(), {});
    client.secure(pinned(stranger, there), {});
    const Error error = thrown_by([&] {
        for (int i = 0; i < 2; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            client.send(as_byte_span("still here"), {});
        }
        std::array<std::byte, 1> answer{};
        client.receive(answer, {});
    });
    CHECK(contains(error.message(), "turns this machine away"));
    CHECK(error.status() == ExitStatus::refused);
}

TEST_CASE("a certificate without its key is worth nothing") {
    const auto& [here, there, stranger] = machines();
    Identity thief = stranger;
    thief.certificate = there.certificate;
    const Mismatch mismatch = shake_hands(pinned(here, there), pinned(thief, here));
    CHECK(mismatch.client.has_value());
    REQUIRE(mismatch.server.has_value());
    CHECK(contains(mismatch.server->message(), "OpenSSL refuses this machine's certificate"));
}

TEST_CASE("a side with a token and a side with a pair do not meet, and both are told why") {
    const auto& [here, there, stranger] = machines();
    const auto check = [](const Security& client, const Security& server,
                          std::string_view at_client, std::string_view at_server) {
        const Mismatch mismatch = shake_hands(client, server);
        REQUIRE(mismatch.client.has_value());
        REQUIRE(mismatch.server.has_value());
        CHECK(contains(mismatch.client->message(), at_client));
        CHECK(contains(mismatch.server->message(), at_server));
        for (const Error& error : {*mismatch.client, *mismatch.server}) {
            CHECK(contains(error.hint(), "both sides need "));
            CHECK(error.status() == ExitStatus::failed);
        }
    };
    SUBCASE("the pair listens") {
        check(some_token(), pinned(there, here),
              ": it shows a certificate, where it should know the token",
              ": it wants a token, and no certificate");
    }
    SUBCASE("the token listens") {
        check(pinned(here, there), some_token(), ": it wants a token, and no certificate",
              ": it came without the token");
    }
}

TEST_CASE("a pair on one side and no TLS on the other do not meet") {
    const auto& [here, there, stranger] = machines();
    CHECK(shake_hands(plain, pinned(there, here)).server.has_value());
    CHECK(shake_hands(pinned(here, there), plain).client.has_value());
}

} // namespace coldspare::clone
