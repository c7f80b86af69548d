#include "fixup/marker.hpp"

#include "fixup/fixes.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

Marker example() {
    return {.nics = {{.name = "eth0", .old_mac = "00:1e:67:aa:bb:cc", .mac = "52:54:00:12:34:56"}},
            .holds = {{.service = "slapd",
                       .ways = {"systemd drop-in"},
                       .release = {"systemctl start slapd.service"},
                       .restore = {"rm -f x"}}},
            .old_initiator_name = "iqn.1993-08.org.debian:01:abc",
            .initiator_name = "iqn.2026-11.lan.example:standby",
            .fixes = {{.id = "holds", .files = {"/etc/a", "/etc/b"}}}};
}

FixPlan plan_for(const FileTree& files, const std::vector<FixPlan>& before,
                 const Wishes& wishes = {}) {
    const Facts facts{.files = files};
    return plan_marker({.facts = facts, .wishes = wishes, .files = facts.files, .before = before});
}

FixPlan planned(const std::string& id) {
    return {
        .id = id,
        .outcome = Outcome::planned,
        .edits = {{.path = "/etc/x"}, {.path = "/etc/tmp", .lifetime = Lifetime::during_commands}},
        .commands = {{.line = "update", .writes = "/boot/initrd"}}};
}

} // namespace

TEST_CASE("a marker reads back as it was written") {
    const std::optional<Marker> back = parse_marker(encode_marker(example()));
    REQUIRE(back.has_value());
    CHECK(*back == example());
}

TEST_CASE("what is no marker is none") {
    for (const char* text : {"", "[]", "{}", "null", "{\"format\": 2}", "{\"format\": 1}",
                             "{\"format\": 1, \"old_initiator_name\": 1}"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_marker(text).has_value());
    }
    std::string text = encode_marker(example());
    text.insert(text.find("\"holds\": ["), "\"nics\": 3, ");
    CHECK_FALSE(parse_marker(text).has_value());
}

TEST_CASE("of what the server had the older marker knows") {
    Marker newer = example();
    newer.nics[0].old_mac = "";
    newer.holds[0].ways.clear();
    newer.holds[0].restore.clear();
    newer.old_initiator_name = newer.initiator_name;
    newer.fixes = {{.id = "holds", .files = {"/etc/c", "/etc/a"}}, {.id = "grub", .files = {}}};
    Marker expected = example();
    expected.fixes = {{.id = "holds", .files = {"/etc/a", "/etc/b", "/etc/c"}},
                      {.id = "grub", .files = {}}};
    CHECK(merged(example(), newer) == expected);
    CHECK(merged(Marker{}, example()) == example());
}

TEST_CASE("a marker is planned only if something else is") {
    CHECK(plan_for({}, {}).outcome == Outcome::not_needed);
    CHECK(plan_for({}, {{.id = "a", .outcome = Outcome::not_needed}}).outcome ==
          Outcome::not_needed);
    CHECK(plan_for({}, {planned("a"), {.id = "b", .outcome = Outcome::cannot}}).outcome ==
          Outcome::not_needed);
    CHECK(plan_for({}, {planned("a")}).outcome == Outcome::planned);
}

TEST_CASE("a marker tells which files each fix changed, and the map of network cards") {
    Facts facts;
    facts.inventory.emplace();
    facts.inventory->nics = {
        {.name = "eth0", .permanent_mac = "00:1e:67:aa:bb:cc", .kind = NicKind::physical}};
    const Wishes wishes{.nics = {{"eth0", "52:54:00:12:34:56"}, {"eth1", "52:54:00:12:34:57"}}};
    const std::vector<FixPlan> before{planned("a")};
    const FixPlan plan =
        plan_marker({.facts = facts, .wishes = wishes, .files = facts.files, .before = before});
    REQUIRE(plan.edits.size() == 1);
    const std::optional<Marker> marker = parse_marker(plan.edits[0].after);
    REQUIRE(marker.has_value());
    CHECK(marker->fixes ==
          std::vector<MarkedFix>{{.id = "a", .files = {"/boot/initrd", "/etc/x"}}});
    CHECK(marker->nics == std::vector<MarkedNic>{{"eth0", "00:1e:67:aa:bb:cc", "52:54:00:12:34:56"},
                                                 {"eth1", "", "52:54:00:12:34:57"}});
}

TEST_CASE("a marker that is there is added to, and is no obstacle if it is something else") {
    FileTree files;
    files.put(
        std::string(marker_path),
        {.status = {FileKind::file, 2}, .content = encode_marker(example()), .readable = true});
    const FixPlan plan = plan_for(files, {planned("later")});
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].before == encode_marker(example()));
    const std::optional<Marker> marker = parse_marker(plan.edits[0].after);
    REQUIRE(marker.has_value());
    CHECK(marker->fixes.size() == 2);
    CHECK(marker->holds == example().holds);
    files.put(std::string(marker_path), {.status = {.kind = FileKind::directory}});
    CHECK(plan_for(files, {planned("later")}).warnings.size() == 1);
}
