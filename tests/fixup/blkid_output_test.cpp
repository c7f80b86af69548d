#include "fixup/blkid_output.hpp"

#include <doctest/doctest.h>

namespace coldspare::fixup {

TEST_CASE("blkid's blocks become properties by device") {
    const auto devices =
        parse_blkid("\nDEVNAME=/dev/a1\nLABEL=my\\ la\\\"b\nTYPE=ext2\n"
                    "PART_ENTRY_TYPE=0x83\nPART_ENTRY_OFFSET=2048\n"
                    "\nDEVNAME=/dev/a2\nno property\n\nDEVNAME=/dev/a\nPTTYPE=dos");
    REQUIRE(devices.size() == 3);
    const BlkidProperties& first = devices.at("/dev/a1");
    CHECK(blkid_value(first, "LABEL") == "my la\"b");
    CHECK(blkid_value(first, "UUID").empty());
    CHECK(blkid_number(first, "PART_ENTRY_TYPE") == 0x83);
    CHECK(blkid_number(first, "PART_ENTRY_OFFSET") == 2048);
    CHECK(blkid_number(first, "TYPE") == 0);
    CHECK(devices.at("/dev/a2").empty());
    CHECK(blkid_value(devices.at("/dev/a"), "PTTYPE") == "dos");
}

TEST_CASE("what belongs to no device is left out") {
    CHECK(parse_blkid("").empty());
    CHECK(parse_blkid("TYPE=ext4\n\nUUID=1\n").empty());
}

} // namespace coldspare::fixup
