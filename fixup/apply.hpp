#pragma once

#include "fixup/guest.hpp"
#include "fixup/plan.hpp"

#include <functional>
#include <string_view>

namespace coldspare::fixup {

/// Called with what is being done: one short line for a person who waits.
using NoteCallback = std::function<void(std::string_view)>;

/// Does what the plan says, fix after fix. Right before its change every file must still be what
/// the plan saw; a command that says no ends it. What is new gets the SELinux label of its
/// directory. Throws Error; the guest is then half changed, and
/// the caller throws its overlay away.
void apply_plan(Guest& guest, const Plan& plan, const NoteCallback& note);

} // namespace coldspare::fixup
