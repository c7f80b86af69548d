#include "fixup/nic.hpp"

#include "base/error.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::fixup;

TEST_CASE("a hardware address is understood in the notations that people paste") {
    for (const char* text :
         {"eth0=52:54:00:12:34:ab", "eth0=52-54-00-12-34-AB", "eth0=52:54:00:12:34:AB"}) {
        CAPTURE(text);
        const NicBinding nic = parse_nic(text);
        CHECK(nic.name == "eth0");
        CHECK(nic.mac == "52:54:00:12:34:ab");
    }
}

TEST_CASE("what is no hardware address is refused as wrong usage") {
    for (const char* text :
         {"eth0=", "eth0=52:54:00:12:34", "eth0=52:54:00:12:34:5g", "eth0=52:54:00-12:34:56",
          "eth0=52:54:00:12:34:56:78", "eth0=525400123456", "eth0=00:00:00:00:00:00",
          "eth0=01:00:5e:00:00:01", "eth0=FF:FF:FF:FF:FF:FF", "eth0"}) {
        CAPTURE(text);
        try {
            static_cast<void>(parse_nic(text));
            FAIL("it was taken");
        } catch (const Error& error) {
            CHECK(error.status() == ExitStatus::usage);
            CHECK_FALSE(error.hint().empty());
        }
    }
}

TEST_CASE("a group address says so") {
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_nic("eth0=33:33:00:00:00:01")),
                         "'33:33:00:00:00:01' is a group address: no network card has it", Error);
}

TEST_CASE("an interface name that Linux or udev would not take is refused") {
    for (const char* name : {"", "sixteen-letters-x", "a/b", "eth 0", "eth0:1", "a\"b", "eth%d",
                             "a\tb", ".", "..", "eth*", "$env", "caf\xc3\xa9"}) {
        CAPTURE(name);
        CHECK_THROWS_AS(static_cast<void>(parse_nic(std::string(name) + "=52:54:00:12:34:56")),
                        Error);
    }
    CHECK(parse_nic("enp0s31f6=52:54:00:12:34:56").name == "enp0s31f6");
    CHECK(parse_nic("fifteen-letters=52:54:00:12:34:56").name == "fifteen-letters");
}

TEST_CASE("the same name or the same address twice is refused") {
    const std::vector<std::string> names{"eth0=52:54:00:12:34:56", "eth0=52:54:00:12:34:57"};
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_nics(names)), "--nic names 'eth0' twice", Error);
    const std::vector<std::string> addresses{"eth0=52:54:00:12:34:56", "eth1=52-54-00-12-34-56"};
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_nics(addresses)),
                         "--nic gives 52:54:00:12:34:56 to both 'eth0' and 'eth1'", Error);
}
