#include "clone/messages.hpp"

#include "base/text.hpp"
#include "clone/wire.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <functional>
#include <vector>

namespace coldspare::clone {

namespace {

using nlohmann::json;

const std::string session_id = "00112233445566778899aabbccddeeff";
const std::string root_text(64, 'a');

Hello control_hello() {
    return {.program = "coldspare 9.9.9",
            .role = Role::target,
            .streams = 3,
            .features = {"zstd", "later"}};
}

Hello data_hello() {
    return {.role = Role::source, .kind = ConnectionKind::data, .session = session_id, .stream = 7};
}

DiskMessage disk_message() {
    DiskMessage disk;
    disk.facts.name = "/dev/sda";
    disk.facts.kind = DiskKind::block;
    disk.facts.size = 500107862016;
    disk.facts.logical_sector = 512;
    disk.facts.physical_sector = 4096;
    disk.facts.model = "ST500";
    disk.facts.serial = "Z4Y";
    disk.facts.wwn = "naa.5000";
    disk.facts.origins = {"block:1:8:0", "block:1:8:1"};
    return disk;
}

/// A message whose every field is named, mistyped and left out in turn.
struct Kind {
    std::string name;
    json good;
    std::function<void(std::string_view)> parse;
};

std::vector<Kind> kinds() {
    const auto parser = [](auto parse) {
        return [parse](std::string_view payload) { static_cast<void>(parse(payload)); };
    };
    return {
        {"HELLO", json::parse(encode(control_hello())), parser(parse_hello)},
        {"HELLO", json::parse(encode(data_hello())), parser(parse_hello)},
        {"DISK", json::parse(encode(disk_message())), parser(parse_disk)},
        {"PLAN", json::parse(encode(PlanMessage{session_id, 2})), parser(parse_plan)},
        {"PROGRESS", json::parse(encode(ProgressMessage{1, 2, 3})), parser(parse_progress)},
        {"END or DONE", json::parse(encode(RootMessage{root_text, 5})), parser(parse_root)},
    };
}

/// `key` of `good` set to `value`, as a payload.
std::string with(const json& good, const std::string& key, const json& value) {
    json changed = good;
    changed[key] = value;
    return changed.dump();
}

std::string nested(int depth) {
    std::string inner = "1";
    for (int i = 1; i < depth; ++i) {
        inner = "{\"a\":" + inner + "}";
    }
    return "{\"bytes_done\":1,\"io_ns\":2,\"net_ns\":3,\"more\":" + inner + "}";
}

} // namespace

TEST_CASE("a HELLO for control comes back as it was sent") {
    const Hello hello = parse_hello(encode(control_hello()));
    CHECK(hello.program == "coldspare 9.9.9");
    CHECK(hello.role == Role::target);
    CHECK(hello.kind == ConnectionKind::control);
    CHECK(hello.streams == 3);
    CHECK(hello.features == std::vector<std::string>{"zstd", "later"});
    CHECK(hello.oldest_version == protocol_version);
    CHECK(hello.newest_version == protocol_version);
}

TEST_CASE("a HELLO for data comes back as it was sent") {
    const Hello hello = parse_hello(encode(data_hello()));
    CHECK(hello.kind == ConnectionKind::data);
    CHECK(hello.role == Role::source);
    CHECK(hello.session == session_id);
    CHECK(hello.stream == 7);
}

TEST_CASE("the HELLO of the protocol page is understood") {
    const Hello hello = parse_hello(
        R"({"program":"coldspare 0.1.0","versions":[1,1],"role":"source","connection":"control",)"
        R"("streams":4,"features":["zstd"]})");
    CHECK(hello.program == "coldspare 0.1.0");
    CHECK(hello.streams == 4);
}

TEST_CASE("a DISK comes back as it was sent") {
    const DiskMessage disk = parse_disk(encode(disk_message()));
    const DiskFacts expected = disk_message().facts;
    CHECK(disk.facts.name == expected.name);
    CHECK(disk.facts.kind == expected.kind);
    CHECK(disk.facts.size == expected.size);
    CHECK(disk.facts.logical_sector == 512);
    CHECK(disk.facts.physical_sector == 4096);
    CHECK(disk.facts.model == "ST500");
    CHECK(disk.facts.serial == "Z4Y");
    CHECK(disk.facts.wwn == "naa.5000");
    CHECK(disk.facts.origins == expected.origins);
    CHECK(disk.block_size == default_block_size);
    CHECK(disk.last);
}

TEST_CASE("PLAN and PROGRESS and roots come back as they were sent") {
    const PlanMessage plan =
        parse_plan(encode(PlanMessage{session_id, 16, CopyMode::delta, 63, true}));
    CHECK(plan.session == session_id);
    CHECK(plan.streams == 16);
    CHECK(plan.mode == CopyMode::delta);
    CHECK(plan.disk == 63);
    CHECK(plan.more);
    const ProgressMessage told = parse_progress(encode(ProgressMessage{UINT64_MAX, 2, 3}));
    CHECK((told.bytes_done == UINT64_MAX && told.io_ns == 2 && told.net_ns == 3));
    const RootMessage root = parse_root(encode(RootMessage{root_text, 5, 3}));
    CHECK(root.root == root_text);
    CHECK(root.blocks_sent == 5);
    CHECK(root.disk == 3);
}

TEST_CASE("the DONE of the protocol page has no number of blocks and is understood") {
    CHECK(parse_root(R"({"disks":[{"disk":0,"root":")" + root_text + R"("}]})").root == root_text);
}

TEST_CASE("a field that is missing is named") {
    for (const Kind& kind : kinds()) {
        for (const auto& [key, value] : kind.good.items()) {
            CAPTURE(kind.name);
            CAPTURE(key);
            json changed = kind.good;
            changed.erase(key);
            CHECK_THROWS_WITH_AS(
                kind.parse(changed.dump()),
                fmt::format("the peer broke the protocol: {}: '{}' is missing", kind.name, key)
                    .c_str(),
                Error);
        }
    }
}

TEST_CASE("a field of another type is refused by its name") {
    for (const Kind& kind : kinds()) {
        for (const auto& [key, value] : kind.good.items()) {
            for (const json& wrong : {json(nullptr), json(-1), json(1.5), json("\x7fno"),
                                      json::object(), json::array({json::object()}), json(true)}) {
                if (wrong.type() == value.type()) {
                    continue;
                }
                CAPTURE(kind.name);
                CAPTURE(key);
                CAPTURE(wrong.dump());
                const std::string payload = with(kind.good, key, wrong);
                const Error error = thrown_by([&] { kind.parse(payload); });
                CHECK(
                    contains(error.message(), "the peer broke the protocol: " + kind.name + ": '"));
                CHECK(contains(error.message(), "'" + key + "'"));
            }
        }
    }
}

TEST_CASE("what is not a JSON object is refused") {
    for (const std::string_view payload :
         {"", "null", "[]", "1", "{", "{}}", "{\"a\":}", "\xff\xfe", "{\"a\":\"\xff\"}"}) {
        CAPTURE(payload);
        for (const Kind& kind : kinds()) {
            CHECK_THROWS_WITH_AS(
                kind.parse(payload),
                fmt::format("the peer broke the protocol: {}: not a JSON object", kind.name)
                    .c_str(),
                Error);
        }
    }
}

TEST_CASE("fields that this version does not know are no fault") {
    for (const Kind& kind : kinds()) {
        CAPTURE(kind.name);
        CHECK_NOTHROW(kind.parse(with(kind.good, "of_a_later_version", json::object())));
    }
}

TEST_CASE("objects may be nested 8 deep and not deeper") {
    CHECK_NOTHROW(static_cast<void>(parse_progress(nested(8))));
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_progress(nested(9))),
                         "the peer broke the protocol: PROGRESS: nested too deep", Error);
}

TEST_CASE("a payload that is nested without an end is refused early") {
    const std::string deep(60'000, '[');
    CHECK_THROWS_AS(static_cast<void>(parse_progress(deep)), Error);
}

TEST_CASE("a payload over 64 KiB is refused") {
    const std::string payload =
        with(json::parse(encode(ProgressMessage{})), "more", std::string(largest_json, 'x'));
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_progress(payload)),
                         "the peer broke the protocol: PROGRESS: too long", Error);
}

TEST_CASE("each value beyond its limit is refused with the limit") {
    struct Row {
        std::string_view message;
        std::string payload;
        std::function<void(std::string_view)> parse;
    };
    const std::vector<Kind> all = kinds();
    const json& control = all[0].good;
    const json& data = all[1].good;
    const json& disk = all[2].good;
    const json& plan = all[3].good;
    const json& root = all[5].good;
    const auto disks = [](json entry) { return json::array({std::move(entry)}); };
    const std::vector<Row> table{
        {"HELLO: 'versions' is not a pair of numbers", with(control, "versions", {1}),
         all[0].parse},
        {"HELLO: 'versions' is not a pair of numbers", with(control, "versions", {1, "1"}),
         all[0].parse},
        {"HELLO: 'versions' is not a pair of numbers",
         with(control, "versions", {4294967297U, 4294967297U}), all[0].parse},
        {"HELLO: 'versions' is not a list of up to 2", with(control, "versions", {1, 1, 1}),
         all[0].parse},
        {"HELLO: 'role' is neither source nor target", with(control, "role", "both"), all[0].parse},
        {"HELLO: 'connection' is neither control nor data", with(control, "connection", "x"),
         all[0].parse},
        {"HELLO: 'streams' is not a number up to 65535", with(control, "streams", 65536),
         all[0].parse},
        {"HELLO: 'program' is not a text of up to 4096 bytes",
         with(control, "program", std::string(4097, 'x')), all[0].parse},
        {"HELLO: 'session' is not 32 hexadecimal digits",
         with(data, "session", std::string(31, '0')), all[1].parse},
        {"HELLO: 'session' is not 32 hexadecimal digits",
         with(data, "session", std::string(32, 'g')), all[1].parse},
        {"HELLO: 'stream' is not a number up to 15", with(data, "stream", 16), all[1].parse},
        {"DISK: a disk without a byte", with(disk, "size", 0), all[2].parse},
        {"DISK: 'size' is not a number up to 281474976710656",
         with(disk, "size", largest_disk_size + 1), all[2].parse},
        {"DISK: a block size of 2048", with(disk, "block_size", 2048), all[2].parse},
        {"DISK: a block size of 12288", with(disk, "block_size", 12288), all[2].parse},
        {"DISK: 'block_size' is not a number up to 4194304", with(disk, "block_size", 8388608),
         all[2].parse},
        {"DISK: 'kind' is neither block nor file", with(disk, "kind", "tape"), all[2].parse},
        {"DISK: 'origins' is not a list of up to 256",
         with(disk, "origins", std::vector<std::string>(257, "x")), all[2].parse},
        {"PLAN: no streams", with(plan, "streams", 0), all[3].parse},
        {"PLAN: 'streams' is not a number up to 16", with(plan, "streams", 17), all[3].parse},
        {"PLAN: disks are copied one after the other", with(plan, "disks", json::array()),
         all[3].parse},
        {"PLAN: 'disk' is not a number up to 63",
         with(plan, "disks", disks({{"disk", 64}, {"mode", "full"}})), all[3].parse},
        {"PLAN: 'more' is neither true nor false", with(plan, "more", 1), all[3].parse},
        {"PLAN: mode 'other' is not known",
         with(plan, "disks", disks({{"disk", 0}, {"mode", "other"}})), all[3].parse},
        {"END or DONE: 'root' is not 64 hexadecimal digits",
         with(root, "disks",
              disks({{"disk", 0}, {"root", std::string(63, 'a')}, {"blocks_sent", 0}})),
         all[5].parse},
    };
    for (const Row& row : table) {
        CAPTURE(row.payload.substr(0, 300));
        CHECK_THROWS_WITH_AS(row.parse(row.payload),
                             fmt::format("the peer broke the protocol: {}", row.message).c_str(),
                             Error);
    }
}

TEST_CASE("a disk of the largest size and the extremes of block sizes are understood") {
    const json disk = json::parse(encode(disk_message()));
    CHECK(parse_disk(with(disk, "size", largest_disk_size)).facts.size == largest_disk_size);
    CHECK(parse_disk(with(disk, "size", 1)).facts.size == 1);
    CHECK(parse_disk(with(disk, "block_size", 4096)).block_size == 4096);
    CHECK(parse_disk(with(disk, "block_size", 4194304)).block_size == 4194304);
}

TEST_CASE("names from the peer come without what a terminal acts on") {
    DiskMessage disk = disk_message();
    disk.facts.name = "\x1b[2Jsda";
    disk.facts.model = "a\nb";
    disk.facts.serial = "\x07";
    const DiskMessage back = parse_disk(encode(disk));
    CHECK(back.facts.name == "?[2Jsda");
    CHECK(back.facts.model == "a?b");
    CHECK(back.facts.serial == "?");
}

TEST_CASE("names that are not UTF-8 can be sent") {
    DiskMessage disk = disk_message();
    disk.facts.name = "/srv/\xe4.img";
    CHECK(parse_disk(encode(disk)).facts.name == "/srv/\xef\xbf\xbd.img");
}

TEST_CASE("both sides being the same is told to the operator") {
    for (const Role role : {Role::source, Role::target}) {
        const Error error =
            thrown_by([&] { static_cast<void>(agree(Hello{.role = role}, Hello{.role = role})); });
        CHECK(error.message() == fmt::format("both sides are the {}", word(role)));
        CHECK(error.hint() ==
              "run 'coldspare send' on one side and 'coldspare receive' on the other");
    }
}

TEST_CASE("versions that do not meet are told with both ranges") {
    const Hello ours{.role = Role::source};
    const Hello theirs{
        .program = "coldspare 7.0", .oldest_version = 2, .newest_version = 3, .role = Role::target};
    CHECK_THROWS_WITH_AS(static_cast<void>(agree(ours, theirs)),
                         "the peer (coldspare 7.0) speaks protocol versions 2 to 3, this program "
                         "1 to 1",
                         Error);
}

TEST_CASE("what is agreed on is the largest version and the fewest streams that both have") {
    Hello ours{.oldest_version = 1, .newest_version = 4, .role = Role::source, .streams = 4};
    Hello theirs{.oldest_version = 2, .newest_version = 3, .role = Role::target, .streams = 9};
    CHECK(agree(ours, theirs).version == 3);
    CHECK(agree(ours, theirs).streams == 4);
    theirs.streams = 0;
    CHECK(agree(ours, theirs).streams == 1);
    ours.streams = theirs.streams = 60000;
    CHECK(agree(ours, theirs).streams == most_streams);
}

TEST_CASE("zstd is used only if both name it") {
    const Hello with_zstd{.role = Role::source, .features = {"zstd"}};
    const Hello without{.role = Role::source};
    Hello target{.role = Role::target, .features = {"credit", "zstd"}};
    CHECK(agree(with_zstd, target).zstd);
    CHECK_FALSE(agree(without, target).zstd);
    target.features = {"credit"};
    CHECK_FALSE(agree(with_zstd, target).zstd);
}

TEST_CASE("the peer's reason is told as the peer's") {
    const Error error = parse_error(encode(Error("the disk is gone", "buy another")), "target");
    CHECK(error.message() == "the target reports: the disk is gone");
    CHECK(error.hint() == "buy another");
    CHECK(error.status() == ExitStatus::failed);
}

TEST_CASE("what can be gone on with and what is refused is so for both, a lock is not") {
    constexpr std::array<std::pair<ExitStatus, ExitStatus>, 6> table{{
        {ExitStatus::incomplete, ExitStatus::incomplete},
        {ExitStatus::refused, ExitStatus::refused},
        {ExitStatus::interrupted, ExitStatus::interrupted},
        {ExitStatus::locked, ExitStatus::failed},
        {ExitStatus::usage, ExitStatus::failed},
        {ExitStatus::done, ExitStatus::failed},
    }};
    for (const auto& [theirs, ours] : table) {
        CAPTURE(status_word(theirs));
        CHECK(parse_error(encode(Error("x", {}, theirs)), "source").status() == ours);
    }
}

TEST_CASE("a reason that cannot be read is no reason to fail") {
    for (const std::string_view payload :
         {"", "[]", "{}", R"({"message":1,"hint":"","status":"failed"})"}) {
        CAPTURE(payload);
        CHECK(contains(parse_error(payload, "source").message(), "without a readable reason"));
    }
}

TEST_CASE("a reason of any length and any bytes arrives cut to 4096 bytes") {
    for (const std::string& text :
         {std::string(5000, 'x'), "a" + std::string(5000, '\xc3'), std::string(4095, 'x') + "ää",
          std::string(4094, 'x') + "\xe2\x82\xac", std::string(4096, '\xff')}) {
        const std::string message = parse_error(encode(Error(text, text)), "target").message();
        CAPTURE(text.size());
        CHECK(message.starts_with("the target reports: "));
        CHECK((message.size() >= 20 + 4093 && message.size() <= 20 + 4096));
        CHECK_FALSE(contains(message, "\xef\xbf\xbd"));
    }
}

} // namespace coldspare::clone
