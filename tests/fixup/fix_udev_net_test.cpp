#include "fixup/fixes.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

const std::string directory = "/etc/udev/rules.d/";
using Named = std::pair<std::string, GuestFile>;

Named file(const std::string& name, const std::string& content) {
    return {directory + name,
            {.status = {FileKind::file, content.size()}, .content = content, .readable = true}};
}

std::string old_rule(const std::string& name) {
    return "SUBSYSTEM==\"net\", ATTR{address}==\"00:1e:67:aa:bb:cc\", NAME=\"" + name + "\"\n";
}

FixPlan plan_for(const std::vector<Named>& files) {
    Facts facts{.rules_directory = true};
    for (const auto& [path, content] : files) {
        facts.files.put(path, content);
    }
    const Wishes wishes{.nics = {{"eth0", "52:54:00:12:34:56"}}};
    return plan_udev_net({.facts = facts, .wishes = wishes, .files = facts.files, .before = {}});
}

} // namespace

TEST_CASE("a name that no rule mentions is left to name-pinning") {
    CHECK(plan_for({}).detail == "no rule names a network card of the VM");
    const FixPlan plan = plan_for({file("70-persistent-net.rules", old_rule("eth1"))});
    CHECK(plan.outcome == Outcome::not_needed);
    CHECK(plan.edits.empty());
}

TEST_CASE("a plan that was carried out leaves nothing to plan") {
    const FixPlan first = plan_for({file("70-persistent-net.rules", old_rule("eth0"))});
    REQUIRE(first.edits.size() == 1);
    CHECK(first.edits[0].before == old_rule("eth0"));
    CHECK(first.edits[0].reach == Reach::initramfs);
    CHECK(first.detail == "eth0 is 52:54:00:12:34:56 in /etc/udev/rules.d/70-persistent-net.rules");
    const FixPlan second = plan_for({file("70-persistent-net.rules", first.edits[0].after)});
    CHECK(second.outcome == Outcome::not_needed);
    CHECK(second.detail == "the rules say it already: eth0 is 52:54:00:12:34:56");
}

TEST_CASE("a name in two files is given in the first and commented out in the second") {
    const FixPlan plan = plan_for({file("10-mine.rules", old_rule("eth0")),
                                   file("70-persistent-net.rules", old_rule("eth0"))});
    REQUIRE(plan.edits.size() == 2);
    CHECK(plan.edits[0].after.find("52:54:00:12:34:56") != std::string::npos);
    CHECK(plan.edits[1].after == "#" + old_rule("eth0"));
}

TEST_CASE("a file that was disabled on purpose is left and reported") {
    for (const FileKind kind : {FileKind::directory, FileKind::symlink}) {
        const FixPlan plan =
            plan_for({{directory + "70-persistent-net.rules", {.status = {.kind = kind}}}});
        CHECK(plan.edits.empty());
        REQUIRE(plan.warnings.size() == 1);
        CHECK(plan.warnings[0].starts_with("/etc/udev/rules.d/70-persistent-net.rules is a "));
    }
}

TEST_CASE("a rules file that is too large is left and reported") {
    const FixPlan plan = plan_for({{directory + "70-persistent-net.rules",
                                    {.status = {FileKind::file, std::uint64_t{2} << 20}}}});
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings[0] == "/etc/udev/rules.d/70-persistent-net.rules is too large for a rules "
                              "file and was left as it is");
    const FixPlan many =
        plan_for({file("70-persistent-net.rules", old_rule("eth0") + std::string(20001, '\n'))});
    CHECK(many.edits.empty());
    CHECK(many.warnings.size() == 1);
}

TEST_CASE("a hundred stale rules stay as they are, and one of them changes") {
    std::string content;
    for (int i = 0; i < 100; ++i) {
        content += old_rule("eth" + std::to_string(i));
    }
    const FixPlan plan = plan_for({file("70-persistent-net.rules", content)});
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].after.starts_with("#" + old_rule("eth0")));
    CHECK(plan.edits[0].after.ends_with(content.substr(old_rule("eth0").size())));
}
