// What a real hypervisor promises: hypervisor-conformance STATE-DIR [URI [networks]]. Says each
// claim on a line; the exit status is 1 if one does not hold.
#include "tests/support/hypervisor_conformance.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

using namespace coldspare::standby;

/// Takes down what a run has left that stopped in the middle.
void remove_leftovers(Hypervisor& hypervisor, const std::string& tag) {
    for (const DomainInfo& domain : hypervisor.domains()) {
        if (domain.name.ends_with("-" + tag)) {
            hypervisor.destroy(domain.name);
            if (domain.persistent) {
                hypervisor.undefine(domain.name);
            }
        }
    }
}

int check(const char* uri, const char* state, bool networks) {
    int failed = 0;
    const auto expect = [&](bool holds, const char* claim) {
        std::printf("%s - %s\n", holds ? "ok" : "FAILED", claim);
        failed += holds ? 0 : 1;
    };
    const std::string tag = std::to_string(::getpid());
    const std::unique_ptr<Hypervisor> hypervisor = connect_hypervisor(uri, state);
    try {
        check_hypervisor_conformance(*hypervisor, tag, expect);
        if (networks) {
            check_network_conformance(*hypervisor, tag, expect);
        }
    } catch (const coldspare::Error&) {
        remove_leftovers(*hypervisor, tag);
        throw;
    }
    return failed == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::puts("usage: hypervisor-conformance STATE-DIR [URI [networks]]");
        return 2;
    }
    try {
        return check(argc > 2 ? argv[2] : "", argv[1],
                     argc > 3 && std::string_view(argv[3]) == "networks");
    } catch (const coldspare::Error& error) {
        std::printf("FAILED - %s\n  hint: %s\n", error.what(), error.hint().c_str());
        return 1;
    }
}
