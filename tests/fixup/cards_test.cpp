#include "fixup/cards.hpp"

#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

const GuestSystem copy{.volumes = {{.device = "a", .uuid = "1", .mount_point = "/"}}};
const std::vector<NicBinding> kept{{"enp3s0", "00:1e:67:aa:bb:cc"}};

Inventory made_by(const std::string& root) {
    return {
        .root_uuid = root,
        .nics = {
            {.name = "enp3s0", .permanent_mac = "00:1e:67:aa:bb:cc", .kind = NicKind::physical}}};
}

} // namespace

TEST_CASE("an inventory of the server is believed, and one of nobody knows which system") {
    CHECK(believed(made_by("1"), copy, kept) == made_by("1"));
    CHECK(believed(made_by(""), copy, kept) == made_by(""));
    CHECK_FALSE(believed(std::nullopt, copy, kept).has_value());
}

TEST_CASE("one of a live system is not, and its names of cards are refused") {
    const std::vector<NicBinding> named{{"eth0", "00:1e:67:aa:bb:cc"}};
    CHECK_FALSE(believed(made_by("live"), copy, named).has_value());
    const Error error = thrown_by([] { static_cast<void>(believed(made_by("live"), copy, kept)); });
    CHECK(error.status() == ExitStatus::usage);
    CHECK(error.hint() == "say --nic NAME=MAC with the names that the server's own configuration "
                          "has");
}
