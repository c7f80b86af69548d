#include "fixup/fixes.hpp"

#include "fixup/apply.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

const Wishes wishes{.nics = {{"eth0", "52:54:00:00:00:0a"}, {"eth1", "52:54:00:00:00:0b"}}};
const std::string rules =
    "SUBSYSTEM==\"net\", ATTR{address}==\"00:00:00:00:00:0a\", NAME=\"eth0\"\n"
    "SUBSYSTEM==\"net\", ATTR{address}==\"00:00:00:00:00:0b\", NAME=\"eth1\"\n";
const std::string suse = "/etc/sysconfig/network/";

FixPlan plan_for(MemoryGuest& guest, const Wishes& wished = wishes) {
    const Facts facts = gather_facts(guest);
    return plan_network_config(
        {.facts = facts, .wishes = wished, .files = facts.files, .before = {}});
}

MemoryGuest guest_with(const std::map<std::string, std::string>& texts) {
    MemoryGuest guest;
    guest.put("/etc/udev/rules.d/70-persistent-net.rules", rules);
    for (const auto& [path, text] : texts) {
        guest.put(path, text, 0600);
    }
    return guest;
}

void carry_out(MemoryGuest& guest, const FixPlan& plan) {
    apply_plan(guest, {.fixes = {plan}}, [](std::string_view) {});
}

bool any_contains(const std::vector<std::string>& texts, std::string_view part) {
    return std::ranges::any_of(
        texts, [part](const std::string& text) { return text.find(part) != std::string::npos; });
}

} // namespace

TEST_CASE("only the address that a card is found by changes, and the mode stays") {
    const std::string path = "/etc/NetworkManager/system-connections/lan.nmconnection";
    MemoryGuest guest = guest_with(
        {{path, "[connection]\ninterface-name=eth0\n[ethernet]\nmac-address=00:00:00:00:00:0A\n"
                "cloned-mac-address=00:00:00:00:00:0A\n"}});
    const FixPlan plan = plan_for(guest);
    REQUIRE(plan.outcome == Outcome::planned);
    CHECK(plan.detail == "new addresses in " + path);
    carry_out(guest, plan);
    CHECK(guest.nodes.at(path).content ==
          "[connection]\ninterface-name=eth0\n[ethernet]\nmac-address=52:54:00:00:00:0A\n"
          "cloned-mac-address=00:00:00:00:00:0A\n");
    CHECK(guest.nodes.at(path).mode == 0600);
}

TEST_CASE("a VM with the server's addresses needs no new ones") {
    MemoryGuest guest = guest_with(
        {{"/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nHWADDR=00:00:00:00:00:0A\n"}});
    const Wishes same{.nics = {{"eth0", "00:00:00:00:00:0a"}, {"eth1", "00:00:00:00:00:0b"}}};
    CHECK(plan_for(guest, same).outcome == Outcome::not_needed);
}

TEST_CASE("a file with the address in its name gets another name, and keeps its mode") {
    MemoryGuest guest = guest_with({{suse + "ifcfg-eth-id-00:00:00:00:00:0a", "BOOTPROTO='dhcp'\n"},
                                    {suse + "hwcfg-id-00:00:00:00:00:0a", "STARTMODE='auto'\n"},
                                    {suse + "hwcfg-static-printer", "MODULE='lp'\n"}});
    carry_out(guest, plan_for(guest));
    CHECK(guest.nodes.at(suse + "ifcfg-eth-id-52:54:00:00:00:0a").mode == 0600);
    CHECK(guest.nodes.at(suse + "hwcfg-id-52:54:00:00:00:0a").content == "STARTMODE='auto'\n");
    CHECK_FALSE(guest.nodes.contains(suse + "ifcfg-eth-id-00:00:00:00:00:0a"));
    CHECK_FALSE(guest.nodes.contains(suse + "hwcfg-id-00:00:00:00:00:0a"));
    CHECK(guest.nodes.contains(suse + "hwcfg-static-printer"));
    CHECK(plan_for(guest).outcome == Outcome::not_needed);
}

TEST_CASE("two files can swap their names") {
    MemoryGuest guest = guest_with({{suse + "ifcfg-eth-id-00:00:00:00:00:0a", "# a\n"},
                                    {suse + "ifcfg-eth-id-00:00:00:00:00:0b", "# b\n"}});
    const Wishes swap{.nics = {{"eth0", "00:00:00:00:00:0b"}, {"eth1", "00:00:00:00:00:0a"}}};
    carry_out(guest, plan_for(guest, swap));
    CHECK(guest.nodes.at(suse + "ifcfg-eth-id-00:00:00:00:00:0a").content == "# b\n");
    CHECK(guest.nodes.at(suse + "ifcfg-eth-id-00:00:00:00:00:0b").content == "# a\n");
}

TEST_CASE("a name that is taken is not taken away") {
    MemoryGuest guest = guest_with({{suse + "ifcfg-eth-id-00:00:00:00:00:0a", "# a\n"},
                                    {suse + "ifcfg-eth-id-52:54:00:00:00:0a", "# new\n"}});
    const FixPlan plan = plan_for(guest);
    CHECK(plan.edits.empty());
    CHECK(any_contains(plan.warnings, "52:54:00:00:00:0a is there already; left as it is"));
}

TEST_CASE("what writes or asks anew is reported") {
    MemoryGuest guest =
        guest_with({{"/etc/netplan/50-cloud-init.yaml",
                     "network: {ethernets: {eth0: {match: {macaddress: '00:00:00:00:00:0a'}}}}\n"},
                    {"/etc/cloud/cloud.cfg", ""},
                    {"/etc/sysconfig/hwconf", "network.hwaddr: 00:00:00:00:00:0a\n"},
                    {"/etc/systemd/network/20-lan.network", "[Match]\nPath=pci-0000:02:00.0\n"}});
    const FixPlan plan = plan_for(guest);
    CHECK(any_contains(plan.warnings, "50-cloud-init.yaml: cloud-init may write it anew"));
    CHECK(any_contains(plan.warnings, "chkconfig kudzu off"));
    CHECK(any_contains(plan.warnings, "20-lan.network:2: matches 'Path=pci-0000:02:00.0'"));
    guest.put("/etc/cloud/cloud.cfg.d/99-off.cfg", "network:\n  config: disabled\n");
    CHECK_FALSE(any_contains(plan_for(guest).warnings, "cloud-init may"));
}
