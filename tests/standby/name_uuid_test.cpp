#include "standby/name_uuid.hpp"

#include <doctest/doctest.h>

using namespace coldspare::standby;

TEST_CASE("a name's UUID is of version 8 and the same everywhere") {
    // python3: sha256(uuid.NAMESPACE_URL.bytes +
    // b"https://coldspare.invalid/uuid/1/domain/mail01/")
    CHECK(name_uuid("domain/mail01/") == "239a5788-92ff-8b88-9eb4-e2a45430d500");
    CHECK(name_uuid("a") != name_uuid("b"));
}
