#include "fixup/fixes.hpp"
#include "fixup/pinning.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

const Wishes wishes{.nics = {{"enp3s0", "52:54:00:00:00:0a"}}};
constexpr const char* link_path = "/etc/systemd/network/10-coldspare-enp3s0.link";
constexpr const char* rules_path = "/etc/udev/rules.d/70-persistent-net.rules";

FixPlan plan_for(MemoryGuest& guest, const Wishes& wished = wishes,
                 const std::optional<Inventory>& inventory = std::nullopt) {
    const Facts facts = gather_facts(guest, inventory);
    return plan_name_pinning(
        {.facts = facts, .wishes = wished, .files = facts.files, .before = {}});
}

MemoryGuest guest_with(const std::vector<std::string>& paths) {
    MemoryGuest guest;
    guest.put_directory("/etc/udev/rules.d");
    for (const std::string& path : paths) {
        guest.put(path, "");
    }
    return guest;
}

std::vector<std::string> paths_of(const FixPlan& plan) {
    std::vector<std::string> paths;
    for (const FileEdit& edit : plan.edits) {
        CHECK(edit.reach == Reach::initramfs);
        paths.push_back(edit.path);
    }
    return paths;
}

std::string put_applied(MemoryGuest& guest, const FixPlan& plan) {
    for (const FileEdit& edit : plan.edits) {
        guest.put(edit.path, edit.after);
    }
    return plan.edits.empty() ? "" : plan.edits.front().after;
}

} // namespace

TEST_CASE("systemd since 240 gets a .link, an older one a rule as well, and none a rule") {
    struct Row {
        std::vector<std::string> present;
        std::vector<std::string> paths;
    };
    const std::vector<Row> rows{
        {{"/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so"}, {link_path}},
        {{"/usr/lib/systemd/libsystemd-shared-257.9-1.el10.so"}, {link_path}},
        {{"/lib/systemd/libsystemd-shared-240.so"}, {link_path}},
        {{"/lib/systemd/libsystemd-shared-239.so"}, {link_path, rules_path}},
        {{"/lib/systemd/systemd"}, {link_path, rules_path}},
        {{}, {rules_path}},
    };
    for (const Row& row : rows) {
        MemoryGuest guest = guest_with(row.present);
        const FixPlan plan = plan_for(guest);
        CHECK(paths_of(plan) == row.paths);
        put_applied(guest, plan);
        CHECK(plan_for(guest).detail == "every card of the VM has its name already");
    }
}

TEST_CASE("the .link matches the card and not a VLAN above it, where systemd can tell") {
    MemoryGuest guest = guest_with({"/usr/lib/systemd/libsystemd-shared-252.so"});
    CHECK(put_applied(guest, plan_for(guest)) ==
          "# network card of the virtual machine (coldspare fixup)\n"
          "[Match]\nPermanentMACAddress=52:54:00:00:00:0a\n\n[Link]\nName=enp3s0\n");
    CHECK(link_file(wishes.nics[0], 241).find("\nMACAddress=52:54") != std::string::npos);
    CHECK(link_file(wishes.nics[0], std::nullopt).find("\nMACAddress=") != std::string::npos);
}

TEST_CASE("the rule has no KERNEL, and goes where one of the system's own stands") {
    MemoryGuest guest = guest_with({});
    guest.put("/etc/udev/rules.d/z25_persistent-net.rules",
              "SUBSYSTEM==\"net\", DRIVERS==\"?*\", ATTRS{address}==\"00:00:00:00:00:01\", "
              "NAME=\"eth5\"\n");
    const FixPlan plan = plan_for(guest);
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].path == "/etc/udev/rules.d/z25_persistent-net.rules");
    CHECK(plan.edits[0].after.ends_with("SUBSYSTEM==\"net\", DRIVERS==\"?*\", "
                                        "ATTRS{address}==\"52:54:00:00:00:0a\", "
                                        "NAME=\"enp3s0\"\n"));
}

TEST_CASE("a rules file that was disabled on purpose is not used") {
    for (const bool link : {true, false}) {
        MemoryGuest guest = guest_with({});
        link ? guest.put_link(rules_path, "/dev/null") : guest.put_directory(rules_path);
        CHECK(paths_of(plan_for(guest)) ==
              std::vector<std::string>{"/etc/udev/rules.d/70-coldspare-net.rules"});
    }
}

TEST_CASE("what names the card already is enough, and what only finds it is not") {
    struct Row {
        std::string path;
        std::string text;
        bool pins;
    };
    const std::vector<Row> rows{
        {rules_path, "SUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:00:00:0a\", NAME=\"enp3s0\"\n",
         true},
        {"/etc/systemd/network/10-lan.link",
         "[Match]\nMACAddress=52:54:00:00:00:0a\n[Link]\nName=enp3s0\n", true},
        {"/etc/systemd/network/10-lan.link",
         "[Match]\nPath=pci-0000:02:00.0\nMACAddress=52:54:00:00:00:0a\n[Link]\nName=enp3s0\n",
         false},
        {"/etc/systemd/network/10-lan.network",
         "[Match]\nMACAddress=52:54:00:00:00:0a\nName=enp3s0\n", false},
        {"/etc/netplan/1.yaml",
         "network: {ethernets: {a: {match: {macaddress: '52:54:00:00:00:0a'}, set-name: enp3s0}}}",
         true},
        {"/etc/sysconfig/network-scripts/ifcfg-enp3s0", "DEVICE=enp3s0\nHWADDR=52:54:00:00:00:0A\n",
         false},
        {"/etc/iftab", "enp3s0 mac 52:54:00:00:00:0a\n", true},
    };
    for (const Row& row : rows) {
        CAPTURE(row.path);
        MemoryGuest guest = guest_with({});
        guest.put(row.path, row.text);
        CHECK((plan_for(guest).outcome == Outcome::not_needed) == row.pins);
    }
    MemoryGuest red_hat = guest_with({"/lib/udev/rename_device"});
    red_hat.put(rows[5].path, rows[5].text);
    CHECK(plan_for(red_hat).outcome == Outcome::not_needed);
}

TEST_CASE("without rules and without systemd nothing can name a card") {
    MemoryGuest guest;
    const FixPlan plan = plan_for(guest);
    CHECK(plan.outcome == Outcome::cannot);
    CHECK_FALSE(plan.hint.empty());
}

TEST_CASE("the inventory's version counts where no file says one") {
    MemoryGuest guest = guest_with({"/lib/systemd/systemd"});
    CHECK(paths_of(plan_for(guest, wishes, Inventory{.systemd_version = "252"})) ==
          std::vector<std::string>{link_path});
}

TEST_CASE("several names of the kernel's own are a warning") {
    MemoryGuest guest = guest_with({"/lib/systemd/libsystemd-shared-252.so"});
    const Wishes two{.nics = {{"eth0", "52:54:00:00:00:0a"}, {"eth1", "52:54:00:00:00:0b"}}};
    CHECK(plan_for(guest, two).warnings.size() == 1);
    CHECK(plan_for(guest).warnings.empty());
}
