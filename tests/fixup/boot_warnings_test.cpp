#include "fixup/boot_warnings.hpp"

#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

std::vector<std::string> warnings_with(const std::string& path, const std::string& content) {
    MemoryGuest guest = make_debian_guest();
    guest.put("/etc/machine-id", "0123\n");
    guest.put(path, content);
    const Facts facts = gather_facts(guest);
    return boot_warnings({.facts = facts, .wishes = {}, .files = facts.files, .before = {}});
}

} // namespace

TEST_CASE("a console on a port that the VM has not is told with its line") {
    const auto warnings =
        warnings_with("/etc/default/grub", "# console=ttyS1\nGRUB_CMDLINE_LINUX="
                                           "\"console=tty0 console=ttyS1,9600\"\n"
                                           "GRUB_SERIAL_COMMAND=\"serial --unit=1\"\n");
    REQUIRE(warnings.size() == 2);
    CHECK(warnings[0] ==
          "/etc/default/grub:2: console=ttyS1,9600 is a serial port that the VM does "
          "not have; its first one is ttyS0");
    CHECK(
        warnings[1].starts_with("/etc/default/grub:3: the boot menu uses the serial port unit=1"));
    CHECK(warnings_with("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"console=ttyS0\"\n").empty());
}

TEST_CASE("a menu that waits for a person is told") {
    CHECK(warnings_with("/etc/default/grub", "GRUB_TIMEOUT=-1\n").size() == 1);
    CHECK(warnings_with("/etc/default/grub", "GRUB_TIMEOUT=5\n").empty());
    CHECK(warnings_with("/boot/grub/menu.lst", "# timeout 5\ntitle x\n").size() == 1);
    CHECK(warnings_with("/boot/grub/menu.lst", "timeout\t5\ntitle x\n").empty());
    CHECK(warnings_with("/boot/grub/menu.lst", "timeout -1\n").size() == 1);
}

TEST_CASE("what GRUB remembers for the next start is told") {
    const std::string head = "# GRUB Environment Block\n";
    CHECK(warnings_with("/boot/grub/grubenv", head + "saved_entry=0\nnext_entry=\n####").empty());
    CHECK(warnings_with("/boot/grub/grubenv", head + "recordfail=1\nnext_entry=2\n####").size() ==
          2);
}

TEST_CASE("boot entries of another machine-id are told") {
    CHECK(warnings_with("/boot/loader/entries/0123-5.14.conf", "").empty());
    CHECK(warnings_with("/boot/loader/entries/4567-5.14.conf", "").size() == 1);
}
