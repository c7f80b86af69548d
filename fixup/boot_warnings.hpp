#pragma once

#include "fixup/plan.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// What does not keep the copy from starting, and can keep somebody waiting: consoles on a port
/// that the VM has not, a menu that waits for a person, an entry that is chosen once, entries of
/// another machine-id. One line each, with file:line where there is one.
[[nodiscard]] std::vector<std::string> boot_warnings(const PlanInput& input);

} // namespace coldspare::fixup
