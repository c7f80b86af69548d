#include "clone/pairing.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/loopback.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <thread>

namespace coldspare::clone {

namespace {

const Token token{std::byte{7}};

/// A machine with a state directory, and what it was told.
struct Machine {
    TemporaryDirectory state;
    Identity identity = load_identity(state.path());
    Pins pins{state.path()};
    Notices notes;
    Notices warnings;

    std::unique_ptr<Peers> pairing(std::unique_ptr<Peers> peers, const std::string& name) {
        return pairing_peers(std::move(peers), pins, name, identity.fingerprint, notes.sink(),
                             warnings.sink());
    }
    std::unique_ptr<Peers> paired(std::unique_ptr<Peers> peers, const std::string& name) {
        return paired_peers(std::move(peers), pins, pins.find(name).value(), warnings.sink());
    }
    Security pinned(const std::string& name) {
        return Pinned{name, identity, pins.find(name).value().fingerprint};
    }
};

enum class Pairs { both, source_only, target_only };

Hello hello_of(Role role) {
    Hello hello;
    hello.program = "coldspare test";
    hello.role = role;
    return hello;
}

/// Opens a control connection between `source`, which connects, and `target`.
void meet(Machine& source, Machine& target, Pairs pairs) {
    Listener listener = loopback_listener();
    const Address address = listener.address();
    std::jthread listening([&] {
        std::unique_ptr<Peers> peers = listening_peers(
            std::move(listener), token, std::chrono::seconds(30), target.notes.sink());
        if (pairs != Pairs::source_only) {
            peers = target.pairing(std::move(peers), "server");
        }
        static_cast<void>(peers->open_control(hello_of(Role::target), {}));
    });
    std::unique_ptr<Peers> peers =
        connecting_peers(address, token, std::chrono::seconds(30), source.notes.sink());
    if (pairs != Pairs::target_only) {
        peers = source.pairing(std::move(peers), "standby");
    }
    static_cast<void>(peers->open_control(hello_of(Role::source), {}));
}

} // namespace

TEST_CASE("a HELLO of a side that pairs carries its fingerprint, and no other does") {
    Hello hello = hello_of(Role::source);
    CHECK(parse_hello(encode(hello)).identity.empty());
    CHECK_FALSE(contains(encode(hello), "identity"));
    hello.identity = std::string(64, 'a');
    CHECK(parse_hello(encode(hello)).identity == hello.identity);
    for (const std::string& odd : {std::string(63, 'a'), std::string(64, 'g'), std::string(" ")}) {
        hello.identity = odd;
        CHECK(thrown_by([&] { static_cast<void>(parse_hello(encode(hello))); }).message() ==
              "the peer broke the protocol: HELLO: 'identity' is not 64 hexadecimal digits");
    }
}

TEST_CASE("two sides that pair know each other's fingerprint afterwards") {
    Machine source;
    Machine target;
    meet(source, target, Pairs::both);
    const Pin there = source.pins.find("standby").value();
    const Pin here = target.pins.find("server").value();
    CHECK(there.fingerprint == target.identity.fingerprint);
    CHECK(here.fingerprint == source.identity.fingerprint);
    CHECK(there.peer.starts_with("127.0.0.1:"));
    CHECK(there.paired.ends_with("Z"));
    CHECK(source.notes.mention("as 'standby', fingerprint " +
                               shortened(target.identity.fingerprint)));
    CHECK(
        target.notes.mention("as 'server', fingerprint " + shortened(source.identity.fingerprint)));
    CHECK(source.warnings.texts().empty());
    CHECK(target.warnings.texts().empty());
}

TEST_CASE("a side that pairs alone is warned and remembers nothing") {
    Machine source;
    Machine target;
    SUBCASE("the source") {
        meet(source, target, Pairs::source_only);
        CHECK(source.warnings.mention(" did not say --pair: nothing is remembered as 'standby'"));
        CHECK(target.warnings.texts().empty());
    }
    SUBCASE("the target") {
        meet(source, target, Pairs::target_only);
        CHECK(target.warnings.mention(" did not say --pair: nothing is remembered as 'server'"));
        CHECK(source.warnings.texts().empty());
    }
    CHECK(source.pins.list().empty());
    CHECK(target.pins.list().empty());
}

TEST_CASE("a peer that comes again after a lost connection is told of once") {
    Machine source;
    Machine target;
    Listener listener = loopback_listener();
    const Address address = listener.address();
    const std::unique_ptr<Peers> there = target.pairing(
        listening_peers(std::move(listener), token, std::chrono::seconds(30), target.notes.sink()),
        "server");
    const std::unique_ptr<Peers> here = source.pairing(
        connecting_peers(address, token, std::chrono::seconds(30), source.notes.sink()), "standby");
    for (int i = 0; i < 2; ++i) {
        std::jthread listening(
            [&] { static_cast<void>(there->open_control(hello_of(Role::target), {})); });
        static_cast<void>(here->open_control(hello_of(Role::source), {}));
    }
    CHECK(source.notes.texts().size() == 1);
    CHECK(target.notes.texts().size() == 1);
    CHECK(source.pins.known("standby"));
}

TEST_CASE("pairing again replaces what was remembered") {
    Machine source;
    Machine target;
    Machine other;
    meet(source, target, Pairs::both);
    meet(source, other, Pairs::both);
    CHECK(source.pins.find("standby").value().fingerprint == other.identity.fingerprint);
}

TEST_CASE("a listening side turns a stranger away and waits for the machine it is paired with") {
    Machine source;
    Machine target;
    Machine stranger;
    meet(source, target, Pairs::both);
    meet(stranger, target, Pairs::source_only);
    Pin stolen = source.pins.find("standby").value();
    stranger.pins.store(stolen);

    Listener listener = loopback_listener();
    const Address address = listener.address();
    std::jthread listening([&] {
        static_cast<void>(
            target
                .paired(listening_peers(std::move(listener), target.pinned("server"),
                                        std::chrono::seconds(30), target.notes.sink()),
                        "server")
                ->open_control(hello_of(Role::target), {}));
    });
    const auto come = [&](Machine& machine) {
        static_cast<void>(
            machine
                .paired(connecting_peers(address, machine.pinned("standby"),
                                         std::chrono::seconds(30), machine.notes.sink()),
                        "standby")
                ->open_control(hello_of(Role::source), {}));
    };
    const Error error = thrown_by([&] { come(stranger); });
    CHECK(error.status() == ExitStatus::refused);
    CHECK(contains(error.message(), "('standby', fingerprint "));
    CHECK(contains(error.message(), shortened(stranger.identity.fingerprint)));
    CHECK(target.notes.mention("turned away 127.0.0.1:"));
    CHECK(target.notes.mention("as 'server': its fingerprint is " +
                               shortened(stranger.identity.fingerprint)));
    come(source);
    listening.join();
    CHECK(source.pins.find("standby").value().peer == address.text());
}

TEST_CASE("a state directory that cannot be written does not end a session of a pair") {
    Machine source;
    Machine target;
    meet(source, target, Pairs::both);
    const Security pinned = source.pinned("standby");
    Listener listener = loopback_listener();
    const Address address = listener.address();
    std::jthread listening([&] {
        static_cast<void>(listening_peers(std::move(listener), target.pinned("server"),
                                          std::chrono::seconds(30), target.notes.sink())
                              ->open_control(hello_of(Role::target), {}));
    });
    const std::unique_ptr<Peers> peers = source.paired(
        connecting_peers(address, pinned, std::chrono::seconds(30), source.notes.sink()),
        "standby");
    std::filesystem::remove_all(source.state.path());
    write_file_atomically(source.state.path(), "in the way");
    static_cast<void>(peers->open_control(hello_of(Role::source), {}));
    CHECK(source.warnings.mention("where 'standby' is seen now is not remembered: "));
}

} // namespace coldspare::clone
