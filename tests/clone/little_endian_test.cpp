#include "clone/little_endian.hpp"

#include <doctest/doctest.h>

#include <cstdint>

namespace coldspare::clone {

TEST_CASE("a number stands with its lowest byte first") {
    std::string bytes = "x";
    append_little_endian(bytes, std::uint32_t{0x01020384});
    append_little_endian(bytes, std::uint64_t{0xf102030405060788});
    append_little_endian(bytes, std::uint16_t{0xfffe});
    append_little_endian(bytes, std::uint8_t{0x80});
    CHECK(bytes == "x\x84\x03\x02\x01\x88\x07\x06\x05\x04\x03\x02\xf1\xfe\xff\x80");
    CHECK(read_little_endian<std::uint32_t>(bytes, 1) == 0x01020384);
    CHECK(read_little_endian<std::uint64_t>(bytes, 5) == 0xf102030405060788);
    CHECK(read_little_endian<std::uint16_t>(bytes, 13) == 0xfffe);
    CHECK(read_little_endian<std::uint8_t>(bytes, 15) == 0x80);
}

} // namespace coldspare::clone
