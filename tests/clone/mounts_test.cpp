#include "clone/mounts.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone {

TEST_CASE("mount tables are read with any number of optional fields") {
    const std::vector<Mount> mounts =
        parse_mounts("1 2 8:1 / / rw,noatime - ext4 /dev/sda1 rw\n"
                     "3 1 0:22 /sub /a\\011b ro shared:1 master:2 - btrfs /dev/sdb\\040x ro\n"
                     "not a line\n"
                     "1 2 8:1 / /x rw shared:1\n"
                     "4 1 8:2 / - ro,x - xfs /dev/sdc ro");
    REQUIRE(mounts.size() == 3);
    CHECK(mounts[0].device == "8:1");
    CHECK_FALSE(mounts[0].read_only);
    CHECK(mounts[1].point == "/a?b"); // a tab, which a terminal would act on
    CHECK(mounts[1].source == "/dev/sdb x");
    CHECK(mounts[1].type == "btrfs");
    CHECK(mounts[1].read_only);
    CHECK(mounts[2].point == "-");
}

TEST_CASE("swap tables are read and their headline is none") {
    CHECK(parse_swaps("Filename Type Size\n/dev/sda2   partition 1 0 -2\n/a\\040b file 1 0 -3\n") ==
          std::vector<std::string>{"/dev/sda2", "/a b"});
    CHECK(parse_swaps("").empty());
}

} // namespace coldspare::clone
