#include "fixup/plan.hpp"

#include "fixup/fixes.hpp"
#include "fixup/text_diff.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::fixup {

std::string_view outcome_word(Outcome outcome) {
    switch (outcome) {
    case Outcome::applied:
        return "applied";
    case Outcome::not_needed:
        return "not needed";
    case Outcome::cannot:
        return "cannot";
    case Outcome::planned:
        return "planned";
    }
    return "cannot";
}

bool Plan::is_empty() const {
    return std::ranges::all_of(
        fixes, [](const FixPlan& fix) { return fix.outcome == Outcome::not_needed; });
}

const FixPlan* Plan::obstacle() const {
    const auto found = std::ranges::find(fixes, Outcome::cannot, &FixPlan::outcome);
    return found == fixes.end() ? nullptr : &*found;
}

Plan make_plan(const Facts& facts, std::span<const NicBinding> nics) {
    Plan plan;
    for (const Fix& fix : fixes()) {
        FixPlan made = fix.plan({.facts = facts, .nics = nics, .before = plan.fixes});
        made.id = fix.id;
        plan.fixes.push_back(std::move(made));
    }
    return plan;
}

std::string plan_text(const Plan& plan) {
    std::string text;
    for (const FixPlan& fix : plan.fixes) {
        text += fmt::format("{}: {}: {}\n", fix.id, outcome_word(fix.outcome), fix.detail);
        if (!fix.hint.empty()) {
            text += fmt::format("  hint: {}\n", fix.hint);
        }
        for (const FileEdit& edit : fix.edits) {
            const bool stays = edit.lifetime == Lifetime::lasting;
            text += fmt::format("  {}{}:\n", edit.why, stays ? "" : " (undone afterwards)");
            text += unified_diff(edit.path, edit.before, edit.after);
        }
        for (const GuestCommand& command : fix.commands) {
            text += fmt::format("  run inside the copy: {}\n    {}\n", command.line, command.why);
        }
    }
    return text;
}

} // namespace coldspare::fixup
