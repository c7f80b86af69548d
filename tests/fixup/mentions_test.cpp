#include "fixup/mentions.hpp"

#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

TEST_CASE("lines mention an address in three notations, in any case") {
    const std::set<std::string> macs{"00:1e:67:aa:bb:cc"};
    CHECK(lines_with_macs("a 00:1E:67:aa:BB:cc\nb 00-1e-67-aa-bb-cc;\nHOSTID=001E67AABBCC\n"
                          "eth-id-00:1e:67:aa:bb:cc\n",
                          macs) == std::vector<std::size_t>{1, 2, 3, 4});
    CHECK(lines_with_macs("# 00:1e:67:aa:bb:cc\n  ; 00:1e:67:aa:bb:cc\n"
                          "ff:00:1e:67:aa:bb:cc\n0001e67aabbcc\n001e67aabbcc0\n00:1e:67:aa:bb:c\n",
                          macs)
              .empty());
}

TEST_CASE("what mentions an old address is a warning, and what the plan edits is not") {
    MemoryGuest guest = make_debian_guest();
    guest.put("/etc/licence.lic", "# FlexLM\nSERVER mail 001E67AABBCC 27000\n");
    guest.put("/etc/network/interfaces", "iface eth0 inet dhcp\n  hwaddress 00:1e:67:aa:bb:cc\n");
    guest.put("/srv/notes", "00:1e:67:aa:bb:cc\n");
    const Wishes wishes{.nics = {{"eth0", "52:54:00:12:34:56"}}};
    const Facts facts = gather_facts(guest);
    const std::vector<std::string> warnings =
        mention_warnings(guest, facts, wishes, make_plan(facts, wishes));
    const std::string rest =
        ": mentions the address of an old card and stays as it is; see whether the VM's is meant";
    CHECK(warnings == std::vector<std::string>{"/etc/licence.lic:2" + rest,
                                               "/etc/network/interfaces:2" + rest});
}

TEST_CASE("without grep there are no mentions, and with the server's addresses no search") {
    MemoryGuest guest = make_debian_guest();
    guest.put("/etc/licence.lic", "001E67AABBCC\n");
    const Wishes same{.nics = {{"eth0", "00:1e:67:aa:bb:cc"}}};
    const Facts facts = gather_facts(guest);
    guest.lines.clear();
    CHECK(mention_warnings(guest, facts, same, make_plan(facts, same)).empty());
    CHECK(guest.lines.empty());
    guest.shell = [](MemoryGuest&, const std::string&) {
        return CommandOutput{127, "sh: grep: not found\n"};
    };
    const Wishes other{.nics = {{"eth0", "52:54:00:12:34:56"}}};
    CHECK(mention_warnings(guest, facts, other, make_plan(facts, other)).empty());
}
