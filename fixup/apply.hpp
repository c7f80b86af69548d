#pragma once

#include "fixup/guest.hpp"
#include "fixup/plan.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// Called with what is being done: one short line for a person who waits.
using NoteCallback = std::function<void(std::string_view)>;

/// A command that was run inside the copy, and what it printed at the end.
struct CommandRecord {
    std::string fix;
    std::string line;
    std::string output; ///< its last bytes, printable but for newlines
    friend bool operator==(const CommandRecord&, const CommandRecord&) = default;
};

/// Does what the plan says, fix after fix. Right before its change every file must still be what
/// the plan saw; a command that says no ends it. What is new gets the SELinux label of its
/// directory. Returns the commands that it ran. Throws Error; the guest is then half changed, and
/// the caller throws its overlay away.
std::vector<CommandRecord> apply_plan(Guest& guest, const Plan& plan, const NoteCallback& note);

} // namespace coldspare::fixup
