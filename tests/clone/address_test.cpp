#include "clone/address.hpp"

#include "base/error.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>

namespace coldspare::clone {

TEST_CASE("addresses are read in each form") {
    struct Row {
        std::string_view text;
        AddressUse use;
        std::string_view host;
        std::string_view port;
        std::string_view shown;
    };
    constexpr std::array<Row, 8> table{{
        {"10000", AddressUse::listen, "", "10000", "*:10000"},
        {":10000", AddressUse::listen, "", "10000", "*:10000"},
        {"0", AddressUse::listen, "", "0", "*:0"},
        {"192.0.2.7:1", AddressUse::listen, "192.0.2.7", "1", "192.0.2.7:1"},
        {"[::1]:65535", AddressUse::listen, "::1", "65535", "[::1]:65535"},
        {"host.example:10000", AddressUse::connect, "host.example", "10000", "host.example:10000"},
        {"[2001:db8::1]:10000", AddressUse::connect, "2001:db8::1", "10000", "[2001:db8::1]:10000"},
        {"192.0.2.7:10000", AddressUse::connect, "192.0.2.7", "10000", "192.0.2.7:10000"},
    }};
    for (const Row& row : table) {
        CAPTURE(row.text);
        const Address address = parse_address(row.text, row.use);
        CHECK(address.host == row.host);
        CHECK(address.port == row.port);
        CHECK(address.text() == row.shown);
    }
}

TEST_CASE("what is not an address is wrong usage") {
    struct Row {
        std::string_view text;
        AddressUse use;
    };
    constexpr std::array<Row, 13> table{{
        {"", AddressUse::listen},
        {"x", AddressUse::listen},
        {"65536", AddressUse::listen},
        {"host:", AddressUse::listen},
        {"::1", AddressUse::listen},
        {"2001:db8::1:10000", AddressUse::connect},
        {"[::1]10000", AddressUse::connect},
        {"[::1", AddressUse::connect},
        {"10000", AddressUse::connect},
        {":10000", AddressUse::connect},
        {"host:0", AddressUse::connect},
        {"host:-1", AddressUse::connect},
        {"host:100000000000000000000", AddressUse::connect},
    }};
    for (const Row& row : table) {
        CAPTURE(row.text);
        const Error error = thrown_by([&] { static_cast<void>(parse_address(row.text, row.use)); });
        CHECK(error.message() == fmt::format("'{}' is not an address", row.text));
        CHECK(error.status() == ExitStatus::usage);
        CHECK(error.hint() == (row.use == AddressUse::listen
                                   ? "write PORT, ADDRESS:PORT or [IPV6]:PORT, for example 10000"
                                   : "write HOST:PORT or [IPV6]:PORT, for example "
                                     "192.0.2.10:10000"));
    }
}

} // namespace coldspare::clone
