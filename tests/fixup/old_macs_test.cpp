#include "fixup/old_macs.hpp"

#include "fixup/cards.hpp"
#include "tests/support/thrown.hpp"

#include "base/error.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

const std::vector<NicBinding> nics{{"eth0", "52:54:00:00:00:0a"}, {"eth1", "52:54:00:00:00:0b"}};

FileTree tree(const std::map<std::string, std::string>& texts) {
    FileTree files;
    for (const auto& [path, text] : texts) {
        files.put(path,
                  {.status = {FileKind::file, text.size()}, .content = text, .readable = true});
    }
    return files;
}

Inventory inventory() {
    return {.nics = {{.name = "eth0",
                      .permanent_mac = "00:00:00:00:00:0a",
                      .mac = "00:00:00:00:00:0b",
                      .kind = NicKind::physical,
                      .master = "bond0",
                      .altnames = {"enp2s0"},
                      .up = true},
                     {.name = "eth1",
                      .permanent_mac = "00:00:00:00:00:0b",
                      .mac = "00:00:00:00:00:0b",
                      .kind = NicKind::physical,
                      .master = "bond0"},
                     {.name = "bond0", .mac = "00:00:00:00:00:0b", .kind = NicKind::bond},
                     {.name = "bond0.5", .kind = NicKind::vlan, .lower = "bond0"}}};
}

} // namespace

TEST_CASE("the copy's own files say which address a name had") {
    const OldMacs old = old_macs(
        tree({{"/etc/udev/rules.d/70-persistent-net.rules",
               "SUBSYSTEM==\"net\", ATTR{address}==\"00:00:00:00:00:0a\", NAME=\"eth0\"\n"},
              {"/etc/sysconfig/network-scripts/ifcfg-eth1",
               "DEVICE=eth1\nHWADDR=00:00:00:00:00:0B\n"},
              {"/etc/sysconfig/network-scripts/ifcfg-eth1.bak",
               "DEVICE=eth1\nHWADDR=00:00:00:00:00:FF\n"},
              {"/etc/iftab", "eth9 mac 00:00:00:00:00:09\n"}}),
        std::nullopt, nics);
    CHECK(old.by_name == std::map<std::string, std::set<std::string>>{
                             {"eth0", {"00:00:00:00:00:0a"}}, {"eth1", {"00:00:00:00:00:0b"}}});
    CHECK(old.warnings.empty());
}

TEST_CASE("the inventory wins, by the permanent address, and a file that disagrees is reported") {
    const FileTree files = tree({{"/etc/iftab", "# x\neth0 mac 00:00:00:00:00:77\n"}});
    const OldMacs old = old_macs(files, inventory(), nics);
    CHECK(old.by_name.at("eth0") == std::set<std::string>{"00:00:00:00:00:0a"});
    CHECK(old.by_name.at("enp2s0") == std::set<std::string>{"00:00:00:00:00:0a"});
    CHECK_FALSE(old.by_name.contains("bond0"));
    REQUIRE(old.warnings.size() == 1);
    CHECK(old.warnings[0] == "/etc/iftab:2: says that eth0 is 00:00:00:00:00:77, but the server's "
                             "eth0 was 00:00:00:00:00:0a; left as it is");
    const OldMacs blind = old_macs(tree({{"/etc/iftab", "eth0 mac 00:00:00:00:00:77\n"},
                                         {"/etc/mactab", "eth0 00:00:00:00:00:78\n"}}),
                                   std::nullopt, nics);
    CHECK(blind.by_name.at("eth0").size() == 2);
    CHECK(blind.warnings.size() == 1);
}

TEST_CASE("a card that keeps its address is not in the map, and a swap is there until it is done") {
    const std::vector<NicBinding> same{{"eth0", "00:00:00:00:00:0a"}};
    CHECK(mac_map({}, old_macs({}, inventory(), same), same).empty());
    const std::vector<NicBinding> swap{{"eth0", "00:00:00:00:00:0b"},
                                       {"eth1", "00:00:00:00:00:0a"}};
    const FileTree before =
        tree({{"/etc/iftab", "eth0 mac 00:00:00:00:00:0a\neth1 mac 00:00:00:00:00:0b\n"}});
    const FileTree after =
        tree({{"/etc/iftab", "eth0 mac 00:00:00:00:00:0b\neth1 mac 00:00:00:00:00:0a\n"}});
    CHECK(mac_map(before, old_macs(before, inventory(), swap), swap) ==
          MacMap{{"00:00:00:00:00:0a", "00:00:00:00:00:0b"},
                 {"00:00:00:00:00:0b", "00:00:00:00:00:0a"}});
    CHECK(mac_map(after, old_macs(after, inventory(), swap), swap).empty());
    CHECK(mac_map(after, old_macs(after, std::nullopt, swap), swap).empty());
}

TEST_CASE("a chain of addresses is not followed twice") {
    const std::vector<NicBinding> chain{{"eth0", "00:00:00:00:00:0b"},
                                        {"eth1", "52:54:00:00:00:0b"}};
    const FileTree after =
        tree({{"/etc/iftab", "eth0 mac 00:00:00:00:00:0b\neth1 mac 52:54:00:00:00:0b\n"}});
    CHECK(mac_map(after, old_macs(after, inventory(), chain), chain) ==
          MacMap{{"00:00:00:00:00:0a", "00:00:00:00:00:0b"}});
}

TEST_CASE("a bond or a VLAN is no card of the VM") {
    const std::optional<Inventory> known = inventory();
    check_cards(nics, known);
    check_cards(std::vector<NicBinding>{{"bond0", "52:54:00:00:00:0a"}}, std::nullopt);
    const Error bond = thrown_by([&] {
        check_cards(std::vector<NicBinding>{{"bond0", "52:54:00:00:00:0a"}}, known);
    });
    CHECK(bond.status() == ExitStatus::usage);
    CHECK(bond.message() == "--nic names 'bond0', which was a bond on the server");
    CHECK(bond.hint() == "name the cards below it: eth0, eth1; the system makes 'bond0' from them");
    CHECK_THROWS_WITH_AS(
        check_cards(std::vector<NicBinding>{{"bond0.5", "52:54:00:00:00:0a"}}, known),
        "--nic names 'bond0.5', which was a vlan on the server", Error);
}

TEST_CASE("cards that the VM has not, and names that the server had not, are reported") {
    CHECK(card_warnings(nics, inventory()).empty());
    CHECK(card_warnings(nics, std::nullopt).empty());
    const std::vector<std::string> warnings =
        card_warnings(std::vector<NicBinding>{{"eth7", "52:54:00:00:00:0a"}}, inventory());
    REQUIRE(warnings.size() == 2);
    CHECK(warnings[0].starts_with(
        "the server had cards that the VM has not: eth0 (was up), eth1; what waits"));
    CHECK(warnings[1] == "the server had no interface 'eth7'; check --nic");
}
