#include "tests/support/guest_conformance.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

TEST_CASE("the guest in memory keeps the promises of a guest") {
    MemoryGuest guest = make_debian_guest();
    check_guest_conformance(guest, "/etc", [](bool holds, const char* claim) {
        CAPTURE(claim);
        CHECK(holds);
    });
}

TEST_CASE("an existing file keeps its mode when it is written") {
    MemoryGuest guest;
    guest.put("/etc/secret", "old", 0600);
    guest.write("/etc/secret", "new", 0644);
    CHECK(guest.nodes.at("/etc/secret").mode == 0600);
}
