#pragma once

#include "base/inventory.hpp"
#include "fixup/apply.hpp"
#include "fixup/vm_requirements.hpp"

#include <optional>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// How far a look into the guest goes.
enum class Depth {
    look, ///< facts and plan; nothing is written
    mend, ///< and what the plan says, and the proof that it helped
};

/// A fix in the report.
struct FixOutcome {
    std::string id;
    Outcome outcome = Outcome::not_needed;
    std::string detail;
    std::string hint;
    friend bool operator==(const FixOutcome&, const FixOutcome&) = default;
};

/// What a person can do about a fix that cannot be done.
[[nodiscard]] std::string way_out(const FixOutcome& obstacle);

/// What was found and done.
struct RepairReport {
    std::string system; ///< "debian 12.5, x86_64"
    std::vector<FixOutcome> fixes;
    std::string plan_text;
    std::vector<std::string> warnings;
    std::vector<CommandRecord> commands; ///< that were run inside the copy
    std::vector<std::string> files;      ///< every path whose content or metadata is another now
    VmRequirements vm;
    friend bool operator==(const RepairReport&, const RepairReport&) = default;

    /// Whether nothing had to be done.
    [[nodiscard]] bool is_clean() const;
    /// The first fix that cannot be done, if any.
    [[nodiscard]] const FixOutcome* obstacle() const;
};

/// Looks at the guest, plans, and with Depth::mend applies the plan and proves the result: facts
/// gathered again must give an empty plan, no initramfs may have lost a module, and the files that
/// changed are looked up by their change time, not guessed. A plan with an obstacle is not applied.
/// Throws Error.
[[nodiscard]] RepairReport repair(Guest& guest, const Wishes& wishes, Depth depth,
                                  const NoteCallback& note,
                                  const std::optional<Inventory>& inventory = std::nullopt);

} // namespace coldspare::fixup
