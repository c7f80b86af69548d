// Several disks in one session, one after the other.
#include "tests/support/handmade_target.hpp"
#include "tests/support/session.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <set>

namespace coldspare::clone {

namespace {

constexpr std::size_t mebibyte = 1 << 20;

/// A disk with a name and a serial number.
class NamedDisk : public FaultyDisk {
public:
    NamedDisk(MemoryDisk& disk, std::string name, std::string serial, const Faults& faults = {})
        : FaultyDisk(disk, faults), facts_(disk.facts()) {
        facts_.name = std::move(name);
        facts_.serial = std::move(serial);
    }
    [[nodiscard]] const DiskFacts& facts() const override { return facts_; }

private:
    DiskFacts facts_;
};

/// Two disks of a source, and where they go.
struct TwoDisks {
    MemoryDisk one{random_bytes(3 * mebibyte + 777)};
    MemoryDisk other{random_bytes(2 * mebibyte)};
    MemoryDisk one_copy{std::vector<std::byte>(one.content().size())};
    MemoryDisk other_copy{std::vector<std::byte>(other.content().size())};
    SessionOptions options{.streams = 2};
    Outcome one_outcome;
    Outcome other_outcome;
    Faults other_faults;
    std::vector<std::string> wanted{"sdb", "S1"};
    std::optional<Error> source_error;
    std::optional<Error> target_error;
    std::vector<SourceDisk> sent;
    std::vector<TargetDisk> received;
    std::set<std::string> seen; ///< names that progress spoke of

    void run() {
        Listener listener = loopback_listener();
        const Address address = listener.address();
        const Notice quiet = [](std::string_view) {};
        const auto there = listening_peers(std::move(listener), {}, std::chrono::seconds(0), quiet);
        const auto here = connecting_peers(address, {}, std::chrono::seconds(5), quiet);
        NamedDisk first(one, "/dev/sda", "S1");
        NamedDisk second(other, "/dev/sdb", "S2", other_faults);
        sent = {{.disk = &first}, {.disk = &second}};
        std::jthread receiving([&] {
            try {
                SessionOptions plain;
                MemoryDestination to_one(one_copy, plain, one_outcome);
                MemoryDestination to_other(other_copy, plain, other_outcome);
                for (const std::string& name : wanted) {
                    const bool is_one = name == "S1" || name == "sda";
                    received.push_back(
                        {.wanted = name,
                         .destination = is_one ? static_cast<Destination*>(&to_one) : &to_other});
                }
                receive_disks(received, *there, {.program = "test", .streams = 2},
                              [&](const Progress& now) { seen.emplace(now.disk); }, {});
            } catch (const Error& error) {
                target_error = error;
            }
        });
        try {
            send_disks(sent, *here,
                       {.program = "test",
                        .streams = 2,
                        .find_free = [](const DiskFacts&,
                                        std::stop_token) { return std::vector<Range>(); }},
                       [](const Progress&) {}, {});
        } catch (const Error& error) {
            source_error = error;
        }
    }
};

} // namespace

TEST_CASE("two disks are copied in one session, each to its own place, in the target's order") {
    TwoDisks both;
    both.run();
    REQUIRE_FALSE(both.source_error);
    REQUIRE_FALSE(both.target_error);
    CHECK(both.one_copy.content() == both.one.content());
    CHECK(both.other_copy.content() == both.other.content());
    CHECK(both.seen == std::set<std::string>{"/dev/sda", "/dev/sdb"});
    REQUIRE((both.sent[0].report && both.sent[1].report));
    CHECK(both.sent[0].report->geometry.size == both.one.content().size());
    CHECK(both.sent[1].report->geometry.size == both.other.content().size());
    // Of "sdb", then of "S1".
    CHECK(both.received[0].report->root == both.sent[1].report->root);
    CHECK(both.received[1].report->root == both.sent[0].report->root);
    for (const TargetDisk& disk : both.received) {
        CHECK(disk.report->bytes_sent == disk.report->geometry.size);
        CHECK(disk.report->bytes_wire < disk.report->geometry.size + 100'000);
    }
}

TEST_CASE("a disk that nobody asks for is not read") {
    TwoDisks both;
    both.wanted = {"sda"};
    both.run();
    REQUIRE_FALSE(both.source_error);
    CHECK(both.sent[0].report);
    CHECK_FALSE(both.sent[1].report);
    CHECK_FALSE(both.sent[1].begun);
    CHECK(both.one_copy.content() == both.one.content());
}

TEST_CASE("a disk that fails does not take back what was copied before it") {
    TwoDisks both;
    both.wanted = {"S1", "S2"};
    both.other_faults.unreadable = {{0, 2 * mebibyte}};
    both.run();
    CHECK(both.source_error);
    CHECK(both.target_error);
    CHECK(both.received[0].report);
    CHECK_FALSE(both.received[1].report);
    CHECK(both.one_outcome.manifest);
    CHECK_FALSE(both.other_outcome.manifest);
    CHECK(both.sent[0].report);
    CHECK(both.sent[1].begun);
}

TEST_CASE("a disk that is not there, or is asked for twice, is told before anything is written") {
    TwoDisks both;
    std::string message;
    SUBCASE("not there") {
        both.wanted = {"S1", "sdc"};
        message = "the source serves no disk 'sdc', but '/dev/sda' (serial S1), '/dev/sdb' (serial "
                  "S2)";
    }
    SUBCASE("twice") {
        both.wanted = {"S1", "sda"};
        message = "'/dev/sda' is asked for twice";
    }
    SUBCASE("not said") {
        both.wanted = {""};
        message = "the source serves 2 disks: '/dev/sda' (serial S1), '/dev/sdb' (serial S2)";
    }
    both.run();
    REQUIRE(both.target_error);
    CHECK(both.target_error->message() == message);
    CHECK(both.target_error->status() == ExitStatus::usage);
    REQUIRE(both.source_error);
    CHECK(both.source_error->message() == "the target reports: " + message);
    CHECK(both.one_copy.writes().empty());
}

TEST_CASE("a target that plans a disk that is not there is told so") {
    Listener listener = loopback_listener();
    const Address address = listener.address();
    const auto peers =
        listening_peers(std::move(listener), {}, std::chrono::seconds(0), [](std::string_view) {});
    std::jthread target([&] {
        const auto there =
            connecting_peers(address, {}, std::chrono::seconds(5), [](std::string_view) {});
        Peers::Control control = there->open_control(
            {.program = "by hand", .role = Role::target, .streams = 1, .features = {}}, {});
        static_cast<void>(next_message(control.channel)); // DISK
        send_message(control.channel, FrameType::plan,
                     encode(PlanMessage{std::string(32, 'a'), 1, CopyMode::full, 1}), {});
        static_cast<void>(next_message(control.channel)); // ERROR
    });
    MemoryDisk disk(random_bytes(4096));
    const Error error = thrown_by([&] {
        static_cast<void>(send_disk(disk, *peers, {.program = "test"}, [](const Progress&) {}, {}));
    });
    CHECK(error.message() == "the target plans disk 1, there are 1");
}

TEST_CASE("a disk is meant by its name, the end of it, its serial number or its WWN") {
    const auto facts = [](std::string name, std::string serial, std::string wwn) {
        DiskFacts disk;
        disk.name = std::move(name);
        disk.serial = std::move(serial);
        disk.wwn = std::move(wwn);
        return disk;
    };
    const std::vector<DiskFacts> disks{facts("/dev/sda", "S1", "naa.1"), facts("/dev/sdb", "", ""),
                                       facts("/srv/a/disk.img", "", ""),
                                       facts("/srv/b/disk.img", "S1", "")};
    CHECK(find_wanted("/dev/sda", disks) == 0);
    CHECK(find_wanted("sda", disks) == 0);
    CHECK(find_wanted("naa.1", disks) == 0);
    CHECK(find_wanted("sdb", disks) == 1);
    CHECK(find_wanted("/srv/b/disk.img", disks) == 3);
    CHECK(find_wanted("", std::span(disks).first(1)) == 0);
    for (const char* ambiguous : {"disk.img", "S1"}) {
        CAPTURE(ambiguous);
        CHECK(thrown_by([&] { static_cast<void>(find_wanted(ambiguous, disks)); }).status() ==
              ExitStatus::usage);
    }
    for (const char* nothing : {"sd", "dev/sda", "b/disk.img", "/"}) {
        CAPTURE(nothing);
        CHECK(thrown_by([&] { static_cast<void>(find_wanted(nothing, disks)); }).status() ==
              ExitStatus::usage);
    }
}

} // namespace coldspare::clone
