#pragma once

#include "fixup/facts.hpp"
#include "fixup/nic.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace coldspare::fixup {

/// How a fix ended, or would.
enum class Outcome { applied, not_needed, cannot, planned };

/// "applied", "not needed", "cannot", "planned".
[[nodiscard]] std::string_view outcome_word(Outcome outcome);

/// How long an edit stays.
enum class Lifetime {
    lasting,
    during_commands, ///< undone when the commands of its fix have run
};

/// One file gets another content.
struct FileEdit {
    std::string path;
    std::optional<std::string> before; ///< nothing: the file must not exist yet
    std::string after;
    std::string why;
    Lifetime lifetime = Lifetime::lasting;
    mode_t mode = 0644; ///< of a new file
};

/// One line for the guest's shell.
struct GuestCommand {
    std::string line;
    std::string why;
    std::string writes; ///< the file that it must have written, or empty
    std::string hint;   ///< if it did not
};

/// What one fix wants: nothing, edits and commands, or it cannot.
struct FixPlan {
    std::string id;
    Outcome outcome = Outcome::not_needed; ///< not_needed, planned or cannot
    std::string detail;                    ///< one sentence for the report
    std::string hint;                      ///< of `cannot`: what a person can do
    std::vector<FileEdit> edits;
    std::vector<GuestCommand> commands;
    std::vector<std::string> warnings;
};

/// Everything that will be done, in order.
struct Plan {
    std::vector<FixPlan> fixes;
    /// Whether there is nothing to do (and nothing that cannot be done).
    [[nodiscard]] bool is_empty() const;
    /// The first fix that cannot be done, if any: the copy would not boot with its network.
    [[nodiscard]] const FixPlan* obstacle() const;
};

/// What a fix decides from.
struct PlanInput {
    const Facts& facts;
    std::span<const NicBinding> nics;
    const std::vector<FixPlan>& before; ///< the plans of the fixes before it
};

/// Decides everything. A pure function: the same facts give the same plan, and facts of a system
/// that the plan was applied to give an empty one.
[[nodiscard]] Plan make_plan(const Facts& facts, std::span<const NicBinding> nics);

/// The plan for a person: per fix its reason, diffs and commands.
[[nodiscard]] std::string plan_text(const Plan& plan);

} // namespace coldspare::fixup
