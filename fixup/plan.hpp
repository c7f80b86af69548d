#pragma once

#include "fixup/facts.hpp"
#include "fixup/file_tree.hpp"
#include "fixup/wishes.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace coldspare::fixup {

/// How a fix ended, or would.
enum class Outcome { applied, not_needed, cannot, planned, skipped };

/// "applied", "not needed", "cannot", "planned", "skipped".
[[nodiscard]] std::string_view outcome_word(Outcome outcome);

/// Whether there is nothing to do.
[[nodiscard]] constexpr bool needs_nothing(Outcome outcome) {
    return outcome == Outcome::not_needed || outcome == Outcome::skipped;
}

/// How long an edit stays.
enum class Lifetime {
    lasting,
    during_commands, ///< undone when the commands of its fix have run
};

enum class EditKind {
    write,
    remove,
    link, ///< becomes a symbolic link; what was there is removed
    copy, ///< gets the content of another file, which may be large and no text
};

/// Who reads a file: where the initramfs carries a copy of it, that has to be built again.
enum class Reach { system, initramfs };

/// One file gets another content, comes or goes. Missing directories are made.
struct FileEdit {
    std::string path;
    std::optional<std::string> before; ///< of `write`; nothing: the file must not exist yet
    std::string after; ///< the content; of `link` where it leads, of `copy` the path to copy
    std::string why;
    Lifetime lifetime = Lifetime::lasting; ///< only `write` can be undone
    mode_t mode = 0644;                    ///< of a new file
    EditKind kind = EditKind::write;
    Reach reach = Reach::system;
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
    Outcome outcome = Outcome::not_needed; ///< not_needed, planned, cannot or skipped
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
    const Wishes& wishes;
    const FileTree& files;              ///< as the fixes before it leave them
    const std::vector<FixPlan>& before; ///< the plans of the fixes before it
};

/// Decides everything. A pure function: the same facts give the same plan, and facts of a system
/// that the plan was applied to give an empty one.
[[nodiscard]] Plan make_plan(const Facts& facts, const Wishes& wishes);

/// The plan for a person: per fix its reason, diffs and commands.
[[nodiscard]] std::string plan_text(const Plan& plan);

} // namespace coldspare::fixup
