#include "fixup/plan.hpp"

#include "fixup/fixes.hpp"
#include "fixup/text_diff.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

std::string edit_text(const FileEdit& edit) {
    switch (edit.kind) {
    case EditKind::write:
        return unified_diff(edit.path, edit.before, edit.after);
    case EditKind::remove:
        return fmt::format("  remove {}\n", edit.path);
    case EditKind::link:
        return fmt::format("  {} becomes a link to {}\n", edit.path, edit.after);
    case EditKind::copy:
        return fmt::format("  {} becomes a copy of {}\n", edit.path, edit.after);
    }
    return {};
}

} // namespace

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
    case Outcome::skipped:
        return "skipped";
    }
    return "cannot";
}

bool Plan::is_empty() const {
    return std::ranges::all_of(fixes,
                               [](const FixPlan& fix) { return needs_nothing(fix.outcome); });
}

const FixPlan* Plan::obstacle() const {
    const auto found = std::ranges::find(fixes, Outcome::cannot, &FixPlan::outcome);
    return found == fixes.end() ? nullptr : &*found;
}

Plan make_plan(const Facts& facts, const Wishes& wishes) {
    Plan plan;
    FileTree files = facts.files;
    for (const Fix& fix : fixes()) {
        FixPlan made{.outcome = Outcome::skipped, .detail = "left out with --skip"};
        if (!wishes.skip.contains(std::string(fix.id))) {
            made =
                fix.plan({.facts = facts, .wishes = wishes, .files = files, .before = plan.fixes});
        }
        made.id = fix.id;
        for (const FileEdit& edit : made.edits) {
            if (edit.lifetime == Lifetime::lasting) {
                files.apply(edit);
            }
        }
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
            text += edit_text(edit);
        }
        for (const GuestCommand& command : fix.commands) {
            text += fmt::format("  run inside the copy: {}\n    {}\n", command.line, command.why);
        }
    }
    return text;
}

} // namespace coldspare::fixup
