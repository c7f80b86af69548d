#include "clone/holder.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone {

TEST_CASE("the volume group is what stands before the first single hyphen") {
    CHECK(volume_group_of("vg-root") == "vg");
    CHECK(volume_group_of("my--vg-root--a") == "my-vg");
    CHECK(volume_group_of("a----b-c") == "a--b");
    CHECK(volume_group_of("plain") == "plain");
    CHECK(volume_group_of("odd-") == "odd");
    CHECK(volume_group_of("").empty());
}

} // namespace coldspare::clone
