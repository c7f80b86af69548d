#include "base/inventory.hpp"
#include "clone/messages.hpp"
#include "tests/support/session.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone {

TEST_CASE("a DISK says whether an inventory follows") {
    DiskMessage disk;
    disk.facts.size = 4096;
    CHECK_FALSE(parse_disk(encode(disk)).inventory);
    CHECK(encode(disk).find("inventory") == std::string::npos);
    disk.inventory = true;
    CHECK(parse_disk(encode(disk)).inventory);
}

TEST_CASE("an inventory is agreed on if both sides name it") {
    const Hello with{.role = Role::source, .features = {"inventory"}};
    const Hello without{.role = Role::target, .features = {"zstd"}};
    CHECK_FALSE(agree(with, without).inventory);
    CHECK_FALSE(agree(without, with).inventory);
    CHECK(agree(with, {.role = Role::target, .features = {"zstd", "inventory"}}).inventory);
}

TEST_CASE("an INVENTORY that is none breaks the protocol") {
    CHECK_NOTHROW(check_inventory(encode_inventory({})));
    CHECK(thrown_by([] { check_inventory("[]"); }).message() ==
          "the peer broke the protocol: INVENTORY: the inventory is not readable: it is no JSON "
          "object");
}

TEST_CASE("what the source tells of its machine arrives as it is") {
    std::vector<std::byte> content(std::size_t{1} << 20);
    fill_pattern(content, 0);
    MemoryDisk source(content);
    for (const std::string& inventory : {std::string(), encode_inventory({.hostname = "mail"}),
                                         encode_inventory({.fstab = std::string(40'000, 'x')})}) {
        MemoryDisk target(content.size(), std::byte{0xFF});
        const Outcome outcome = run_session(source, target, {.inventory = inventory});
        require_copied(outcome, target, content);
        CHECK(outcome.inventory == inventory);
    }
}

} // namespace coldspare::clone
