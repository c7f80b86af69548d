#include "base/clock.hpp"

#include <doctest/doctest.h>

namespace coldspare {

TEST_CASE("a timestamp has the form of RFC 3339 in UTC") {
    constexpr std::string_view form = "dddd-dd-ddTdd:dd:ddZ";
    const std::string text = utc_timestamp();
    REQUIRE(text.size() == form.size());
    for (std::size_t i = 0; i < form.size(); ++i) {
        CAPTURE(i);
        CHECK((form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i]));
    }
}

} // namespace coldspare
