#include "fixup/file_tree.hpp"

#include "fixup/plan.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>

using namespace coldspare::fixup;

namespace {

FileTree read(MemoryGuest& guest, std::string_view pattern) {
    const std::array<std::string_view, 1> patterns{pattern};
    return read_files(guest, patterns);
}

using Paths = std::vector<std::string>;

} // namespace

TEST_CASE("a star in the last part stands for the names in one directory") {
    MemoryGuest guest;
    guest.put("/etc/netplan/01.yaml", "one");
    guest.put("/etc/netplan/01.yaml.bak", "old");
    guest.put("/etc/netplan/sub/02.yaml", "two");
    const FileTree tree = read(guest, "/etc/netplan/*.yaml");
    CHECK(tree.below("/etc") == Paths{"/etc/netplan/01.yaml"});
    REQUIRE(tree.text("/etc/netplan/01.yaml") != nullptr);
    CHECK(*tree.text("/etc/netplan/01.yaml") == "one");
}

TEST_CASE("stars in several parts stand for directories on the way") {
    MemoryGuest guest;
    guest.put("/n/iqn.a/10.0.0.1,3260,1/default", "a");
    guest.put("/n/iqn.b/10.0.0.1,3260,1/default", "b");
    guest.put("/n/iqn.b/10.0.0.2,3260,1/default", "c");
    guest.put("/n/file", "no directory");
    const FileTree tree = read(guest, "/n/*/*/*");
    CHECK(tree.below("/n") == Paths{"/n/iqn.a/10.0.0.1,3260,1/default",
                                    "/n/iqn.b/10.0.0.1,3260,1/default",
                                    "/n/iqn.b/10.0.0.2,3260,1/default"});
    CHECK(read(guest, "/n/iqn.*/*2,3260,1/default").below("/n") ==
          Paths{"/n/iqn.b/10.0.0.2,3260,1/default"});
}

TEST_CASE("a star before the last part does not follow a link to a directory") {
    MemoryGuest guest;
    guest.put("/etc/rc.d/rc3.d/S20x", "");
    guest.put_link("/etc/rc3.d", "rc.d/rc3.d");
    CHECK(read(guest, "/etc/rc*.d/S*").below("/etc").empty());
    CHECK(read(guest, "/etc/rc.d/rc*.d/S*").below("/etc") == Paths{"/etc/rc.d/rc3.d/S20x"});
}

TEST_CASE("of one pattern no more than 1000 files are read") {
    MemoryGuest guest;
    for (int i = 0; i < 40; ++i) {
        for (int j = 0; j < 30; ++j) {
            guest.put(fmt::format("/n/{}/{}", i, j), "x");
        }
    }
    CHECK(read(guest, "/n/*/*").below("/n").size() == 1000);
}

TEST_CASE("a question mark asks whether a path is there and reads no content") {
    MemoryGuest guest;
    guest.put("/lib/a/x", "content");
    guest.put_link("/lib/a/y", "x");
    const FileTree tree = read(guest, "?/lib/*/*");
    CHECK(tree.exists("/lib/a/x"));
    CHECK(tree.text("/lib/a/x") == nullptr);
    REQUIRE(tree.find("/lib/a/y") != nullptr);
    CHECK(tree.find("/lib/a/y")->content == "x");
}
