// Any bytes as a rules file: the rewrite must end, keep what is not its own, and change nothing
// when it runs a second time.
#include "fixup/udev_rewrite.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

using namespace coldspare::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::vector<NicBinding> nics{{"eth0", "52:54:00:00:00:00"},
                                       {"eth1", "52:54:00:00:00:01"}};
    const std::string_view content(reinterpret_cast<const char*>(data), size);
    RulesRewrite once = rewrite_rules(content, nics, {});
    for (const NicBinding& nic : nics) {
        if (!once.pinned.contains(nic.name)) {
            once.content = append_rule(once.content, nic, dialect_of(once.content));
        }
    }
    const RulesRewrite twice = rewrite_rules(once.content, nics, {});
    if (twice.content != once.content || twice.pinned.size() != nics.size()) {
        std::abort();
    }
    return 0;
}
