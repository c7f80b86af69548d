#include "standby/hypervisor.hpp"
#include "tests/support/hypervisor_conformance.hpp"
#include "tests/support/memory_hypervisor.hpp"

#include <doctest/doctest.h>

namespace coldspare::standby {

TEST_CASE("the hypervisor in memory keeps the promises of the real one") {
    MemoryHypervisor hypervisor;
    const auto expect = [](bool holds, const char* claim) {
        CAPTURE(claim);
        CHECK(holds);
    };
    check_hypervisor_conformance(hypervisor, "unit", expect);
    check_network_conformance(hypervisor, "unit", expect);
    CHECK(hypervisor.all.empty());
    CHECK(hypervisor.nets.empty());
}

TEST_CASE("each state of a domain has a word") {
    CHECK(word(DomainState::running) == "running");
    CHECK(word(DomainState::paused) == "paused");
    CHECK(word(DomainState::shut_off) == "shut off");
    CHECK(word(DomainState::crashed) == "crashed");
    CHECK(word(DomainState::other) == "in between");
}

} // namespace coldspare::standby
