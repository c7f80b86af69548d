#include "fixup/fixes.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

const std::vector<NicBinding> nics{{"eth0", "52:54:00:12:34:56"}};
const std::string directory = "/etc/udev/rules.d/";

RulesFile file(const std::string& name, const std::string& content) {
    return {.path = directory + name,
            .status = {FileKind::file, content.size()},
            .content = content,
            .readable = true};
}

std::string old_rule(const std::string& name) {
    return "SUBSYSTEM==\"net\", ATTR{address}==\"00:1e:67:aa:bb:cc\", NAME=\"" + name + "\"\n";
}

FixPlan plan_for(std::vector<RulesFile> files) {
    const Facts facts{.rules_directory = true, .rules = std::move(files)};
    return plan_udev_net(
        {.facts = facts, .wishes = {.nics = nics}, .files = facts.files, .before = {}});
}

} // namespace

TEST_CASE("without any rule a file is made with one that has no KERNEL") {
    const FixPlan plan = plan_for({});
    REQUIRE(plan.outcome == Outcome::planned);
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].path == directory + "70-persistent-net.rules");
    CHECK_FALSE(plan.edits[0].before.has_value());
    CHECK(plan.edits[0].after.find("ATTR{address}==\"52:54:00:12:34:56\"") != std::string::npos);
    CHECK(plan.edits[0].after.find("KERNEL") == std::string::npos);
    CHECK(plan.detail == "eth0 is 52:54:00:12:34:56 in /etc/udev/rules.d/70-persistent-net.rules");
}

TEST_CASE("a plan that was carried out leaves nothing to plan") {
    const FixPlan first = plan_for({file("70-persistent-net.rules", old_rule("eth0"))});
    REQUIRE(first.edits.size() == 1);
    CHECK(first.edits[0].before == old_rule("eth0"));
    const FixPlan second = plan_for({file("70-persistent-net.rules", first.edits[0].after)});
    CHECK(second.outcome == Outcome::not_needed);
    CHECK(second.detail == "the rules say it already: eth0 is 52:54:00:12:34:56");
}

TEST_CASE("a new rule goes into the persistent-net file that is there") {
    const FixPlan plan = plan_for({file("10-disks.rules", "KERNEL==\"sda\", SYMLINK+=\"x\"\n"),
                                   file("z25_persistent-net.rules", old_rule("eth1"))});
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].path == directory + "z25_persistent-net.rules");
    CHECK(plan.edits[0].after.starts_with(old_rule("eth1")));
}

TEST_CASE("a name in two files is given in the first and commented out in the second") {
    const FixPlan plan = plan_for({file("10-mine.rules", old_rule("eth0")),
                                   file("70-persistent-net.rules", old_rule("eth0"))});
    REQUIRE(plan.edits.size() == 2);
    CHECK(plan.edits[0].after.find("52:54:00:12:34:56") != std::string::npos);
    CHECK(plan.edits[1].after == "#" + old_rule("eth0"));
}

TEST_CASE("a file that was disabled on purpose is left, reported, and another one is used") {
    for (const FileKind kind : {FileKind::directory, FileKind::symlink}) {
        const FixPlan plan =
            plan_for({{.path = directory + "70-persistent-net.rules", .status = {.kind = kind}}});
        REQUIRE(plan.edits.size() == 1);
        CHECK(plan.edits[0].path == directory + "70-coldspare-net.rules");
        REQUIRE(plan.warnings.size() == 1);
        CHECK(plan.warnings[0].starts_with("/etc/udev/rules.d/70-persistent-net.rules is a "));
    }
}

TEST_CASE("a file that is too large is left and reported") {
    const FixPlan plan = plan_for({{.path = directory + "70-persistent-net.rules",
                                    .status = {FileKind::file, std::uint64_t{2} << 20}}});
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings[0] == "/etc/udev/rules.d/70-persistent-net.rules is too large for a rules "
                              "file and was left as it is");
}

TEST_CASE("a system without udev rules cannot be fixed") {
    const Facts facts;
    const FixPlan plan = plan_udev_net(
        {.facts = facts, .wishes = {.nics = nics}, .files = facts.files, .before = {}});
    CHECK(plan.outcome == Outcome::cannot);
    CHECK_FALSE(plan.hint.empty());
}
