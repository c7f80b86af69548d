#include "fixup/mac_sites.hpp"

#include <doctest/doctest.h>

#include <functional>

using namespace coldspare::fixup;

namespace {

const MacMap map{{"00:1e:67:aa:bb:cc", "52:54:00:00:00:0a"},
                 {"00:1e:67:aa:bb:cd", "52:54:00:00:00:0b"}};

using Finder = std::vector<MacSite> (*)(std::string_view);

std::string changed(Finder find, const std::string& text, const MacMap& macs = map) {
    const std::string once = with_macs(text, find(text), macs, {});
    CHECK(with_macs(once, find(once), map, {}) == once);
    return once;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return text;
}

} // namespace

TEST_CASE("an address is read in four notations and written back in the same one") {
    for (const char* written :
         {"00:1e:67:aa:bb:cc", "00-1E-67-AA-BB-CC", "001e.67aa.bbcc", "001e67aabbcc"}) {
        CAPTURE(written);
        CHECK(read_mac(written) == "00:1e:67:aa:bb:cc");
        CHECK(read_mac(mac_like("52:54:00:ab:cd:ef", written)) == "52:54:00:ab:cd:ef");
        CHECK(mac_like("00:1e:67:aa:bb:cc", written) == written);
    }
    for (const char* other : {"", "00:1e:67:aa:bb", "00:1e:67:aa:bb:cc:dd", "00:1e-67:aa:bb:cc",
                              "00:1e:67:aa:bb:cg", "001e67aabbc", "00:1e:67:*"}) {
        CAPTURE(other);
        CHECK_FALSE(read_mac(other));
    }
}

TEST_CASE("addresses are looked up all at once, so that two cards can swap theirs") {
    const MacMap swap{{"00:00:00:00:00:0a", "00:00:00:00:00:0b"},
                      {"00:00:00:00:00:0b", "00:00:00:00:00:0a"}};
    const std::string text = "eth0 mac 00:00:00:00:00:0a\neth1 mac 00:00:00:00:00:0b\n";
    const std::map<std::string, std::string> names{{"eth0", "00:00:00:00:00:0b"},
                                                   {"eth1", "00:00:00:00:00:0a"}};
    const std::string once = with_macs(text, sites_in_iftab(text), swap, names);
    CHECK(once == "eth0 mac 00:00:00:00:00:0b\neth1 mac 00:00:00:00:00:0a\n");
    CHECK(with_macs(once, sites_in_iftab(once), swap, names) == once);
}

TEST_CASE("HWADDR is found however it is quoted, and MACADDR is not") {
    for (const char* line :
         {"HWADDR=00:1e:67:aa:bb:cc", "HWADDR=\"00:1E:67:AA:BB:CC\"", "HWADDR='00:1e:67:aa:bb:cc'",
          "  HWADDR=00:1e:67:aa:bb:cc # old", "export HWADDR=00:1e:67:aa:bb:cc\r"}) {
        CAPTURE(line);
        const std::string text = std::string("DEVICE=\"eth0\"\n") + line +
                                 "\nMACADDR=00:1e:67:aa:bb:cc\n#HWADDR=00:1e:67:aa:bb:cd";
        const std::vector<MacSite> sites = sites_in_ifcfg(text);
        REQUIRE(sites.size() == 1);
        CHECK(sites[0].name == "eth0");
        CHECK(sites[0].line == 2);
        const std::string written = text.substr(sites[0].begin, 17);
        CHECK(changed(sites_in_ifcfg, text) ==
              replaced(text, written, mac_like("52:54:00:00:00:0a", written)));
    }
}

TEST_CASE("SUSE's names with an address in them are found in other interfaces' files") {
    const std::string text = "BONDING_SLAVE0='eth-id-00:1e:67:aa:bb:cc'\n"
                             "BONDING_SLAVE1='eth-id-00:1e:67:aa:bb:cd'\n"
                             "LLADDR='00:1e:67:aa:bb:cc'\n";
    CHECK(changed(sites_in_ifcfg, text) == "BONDING_SLAVE0='eth-id-52:54:00:00:00:0a'\n"
                                           "BONDING_SLAVE1='eth-id-52:54:00:00:00:0b'\n"
                                           "LLADDR='00:1e:67:aa:bb:cc'\n");
}

TEST_CASE("a keyfile's address changes, and the one that the card is told to take stays") {
    const std::string text = "[connection]\nid=office\ninterface-name=enp2s0\n\n[ethernet]\n"
                             "cloned-mac-address=00:1E:67:AA:BB:CC\n"
                             "mac-address=00:1E:67:AA:BB:CC\n"
                             "mac-address-denylist=00:1E:67:AA:BB:CD;\n\n[wifi]\n"
                             "mac-address=00:1E:67:AA:BB:CC\n";
    const std::vector<MacSite> sites = sites_in_keyfile(text);
    REQUIRE(sites.size() == 2);
    CHECK(sites[0].name == "enp2s0");
    CHECK(sites[1].name.empty());
    std::string wanted =
        replaced(text, "\nmac-address=00:1E:67:AA:BB:CC", "\nmac-address=52:54:00:00:00:0A");
    wanted = replaced(wanted, "00:1E:67:AA:BB:CD", "52:54:00:00:00:0B");
    CHECK(changed(sites_in_keyfile, text) == wanted);
}

TEST_CASE("in [Match] all addresses of a list change, over several lines, in all notations") {
    const std::string text = "# MACAddress=00:1e:67:aa:bb:cc\n[Match]\n"
                             "MACAddress=00:1e:67:aa:bb:cc 00-1e-67-aa-bb-cd \\\n"
                             "   001e.67aa.bbcc\r\nPermanentMACAddress=001e67aabbcc\n"
                             "[Link]\nMACAddress=00:1e:67:aa:bb:cc\nName=lan\n";
    const std::vector<MacSite> sites = sites_in_networkd(text);
    REQUIRE(sites.size() == 4);
    CHECK(sites[2].line == 4);
    CHECK(sites[3].name == "lan");
    CHECK(sites[3].kind == SiteKind::names);
    CHECK(changed(sites_in_networkd, text) ==
          "# MACAddress=00:1e:67:aa:bb:cc\n[Match]\n"
          "MACAddress=52:54:00:00:00:0a 52-54-00-00-00-0b \\\n"
          "   5254.0000.000a\r\nPermanentMACAddress=52540000000a\n"
          "[Link]\nMACAddress=00:1e:67:aa:bb:cc\nName=lan\n");
}

TEST_CASE("a .network that matches a pattern of names says no name") {
    const std::string text = "[Match]\nName=en*\nMACAddress=00:1e:67:aa:bb:cc\n";
    REQUIRE(sites_in_networkd(text).size() == 1);
    CHECK(sites_in_networkd(text)[0].name.empty());
}

TEST_CASE("iftab and mactab name a card with or without the word mac") {
    CHECK(changed(sites_in_iftab, "# eth0 mac 00:1e:67:aa:bb:cc\neth0 mac 00:1E:67:AA:BB:CC arp 1\n"
                                  "eth1 00:1e:67:aa:bb:cd") ==
          "# eth0 mac 00:1e:67:aa:bb:cc\neth0 mac 52:54:00:00:00:0A arp 1\n"
          "eth1 52:54:00:00:00:0b");
}

TEST_CASE("of /etc/network/interfaces mappings and patterns change, and hwaddress stays") {
    const std::string text = "rename /mac/00:1e:67:aa:bb:cc=lan\nauto lan\n"
                             "mapping eth0\n  script get-mac-address.sh\n"
                             "  map 00:1E:67:AA:BB:CD home\n"
                             "iface lan inet static\n  hwaddress ether 00:1e:67:aa:bb:cc\n";
    const std::vector<MacSite> sites = sites_in_interfaces(text);
    REQUIRE(sites.size() == 2);
    CHECK(sites[0].name == "lan");
    CHECK(sites[0].kind == SiteKind::names);
    CHECK(changed(sites_in_interfaces, text) ==
          "rename /mac/52:54:00:00:00:0a=lan\nauto lan\n"
          "mapping eth0\n  script get-mac-address.sh\n"
          "  map 52:54:00:00:00:0B home\n"
          "iface lan inet static\n  hwaddress ether 00:1e:67:aa:bb:cc\n");
}

TEST_CASE("netplan: only the address under match changes, in block and flow style") {
    const std::string text =
        "# büro\nnetwork:\n  version: 2\n  ethernets:\n    lan:\n"
        "      match: {macaddress: \"00:1e:67:aa:bb:cc\"}  # ö\n"
        "      set-name: eth0\n      macaddress: 00:1e:67:aa:bb:cc\n"
        "    eth1: {match: {name: 'en*', macaddress: 00:1E:67:AA:BB:CD}, dhcp4: true}\n"
        "  bonds:\n    bond0: {macaddress: 00:1e:67:aa:bb:cc}\n";
    const std::vector<MacSite> sites = sites_in_netplan(text);
    REQUIRE(sites.size() == 2);
    CHECK(sites[0].name == "eth0");
    CHECK(sites[0].kind == SiteKind::names);
    CHECK(sites[0].line == 6);
    CHECK(sites[1].name == "eth1");
    CHECK(sites[1].kind == SiteKind::finds);
    std::string wanted = replaced(text, "\"00:1e:67:aa:bb:cc\"", "\"52:54:00:00:00:0a\"");
    wanted = replaced(wanted, "00:1E:67:AA:BB:CD", "52:54:00:00:00:0B");
    CHECK(changed(sites_in_netplan, text) == wanted);
}

TEST_CASE("netplan: an anchor is edited once, where it stands") {
    const std::string text = "\xEF\xBB\xBFnetwork:\r\n  ethernets:\r\n    a:\r\n"
                             "      match: &m\r\n        macaddress: &x 00:1e:67:aa:bb:cc\r\n"
                             "      set-name: eth0\r\n    b: {match: *m}\r\n";
    REQUIRE(sites_in_netplan(text).size() == 1);
    CHECK(changed(sites_in_netplan, text) ==
          replaced(text, "00:1e:67:aa:bb:cc", "52:54:00:00:00:0a"));
}

TEST_CASE("what is no YAML and what is YAML of something else has no sites") {
    for (const char* text :
         {"", "network:\n\t- x", "network: [1, 2]", "- network", "network: {ethernets: *nobody}",
          "network:\n  ethernets:\n    a:\n      match:\n        macaddress: [1]\n", "{{{{{{",
          "network: {ethernets: {a: {match: {macaddress: \"\\x300:1e:67:aa:bb:cc\"}}}}"}) {
        CAPTURE(text);
        CHECK(sites_in_netplan(text).empty());
    }
}
