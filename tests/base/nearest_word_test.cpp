#include "base/nearest_word.hpp"

#include <doctest/doctest.h>

#include <string>

namespace coldspare {

TEST_CASE("the nearest word is a slip of the fingers away") {
    const std::vector<std::string_view> words{"memory", "cpus", "firmware"};
    CHECK(nearest_word("memroy", words) == "memory");
    CHECK(nearest_word("cpu", words) == "cpus");
    CHECK(nearest_word("firmwrae", words) == "firmware");
    CHECK(nearest_word("disks", words).empty());
    CHECK(nearest_word(std::string(100, 'm'), words).empty());
}

} // namespace coldspare
