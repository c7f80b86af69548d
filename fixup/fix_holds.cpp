// Holds: a service that would serve without its data, or beside its old self, must not start
// before the runbook says so, not even for a second after boot.
//
// Releasing is the same for all of them, whatever holds them: the marker in the copy
// (fix_marker.cpp, docs/FORMATS.md) and `hold_ways()` give for each service the shell lines
// `release`, which start it now, and `restore`, which let it start at every boot again. Until they
// were run, a reboot of the standby holds the service again.
#include "base/text.hpp"
#include "fixup/fixes.hpp"
#include "fixup/hold_ways.hpp"
#include "fixup/services.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_holds = 100;

FixPlan cannot(std::string detail, std::string hint) {
    return {.outcome = Outcome::cannot, .detail = std::move(detail), .hint = std::move(hint)};
}

/// One edit for each file: two services may be lines of the same one.
void add_edit(FileEdit edit, FixPlan& plan) {
    const auto same = std::ranges::find(plan.edits, edit.path, &FileEdit::path);
    if (same != plan.edits.end() && edit.kind == EditKind::write && same->kind == EditKind::write) {
        same->after = std::move(edit.after);
    } else {
        plan.edits.push_back(std::move(edit));
    }
}

std::string hint_for(const FileTree& files, const std::string& service) {
    const std::vector<std::string> similar = similar_services(files, service);
    return similar.empty() ? "see which services the server has"
                           : fmt::format("did you mean {}?", fmt::join(similar, ", "));
}

/// Holds one more service, and does to `files` what that does. Returns what the report says.
std::string hold(const std::string& service, FileTree& files, FixPlan& plan) {
    std::vector<std::string> means;
    bool changes = false;
    for (HoldWay& way : hold_ways(files, service)) {
        means.push_back(way.way);
        changes = changes || !way.edits.empty();
        if (!way.warning.empty()) {
            plan.warnings.push_back(std::move(way.warning));
        }
        for (FileEdit& edit : way.edits) {
            files.apply(edit);
            add_edit(std::move(edit), plan);
        }
    }
    if (means.empty()) {
        return {};
    }
    for (const std::string& line : other_starters(files, service)) {
        plan.warnings.push_back(
            fmt::format("{} (may start {} in spite of its hold: take it out)", line, service));
    }
    return fmt::format("{} held{} ({})", service, changes ? "" : " already",
                       fmt::join(means, ", "));
}

} // namespace

FixPlan plan_holds(const PlanInput& input) {
    const std::vector<std::string>& services = input.wishes.holds;
    if (services.empty()) {
        return {.detail = "no service is to be held"};
    }
    if (services.size() > most_holds) {
        return cannot(fmt::format("{} services are to be held, and at most {} can be",
                                  services.size(), most_holds),
                      "hold only what must wait for its data");
    }
    FixPlan plan;
    FileTree files = input.files;
    std::vector<std::string> details;
    for (std::string service : services) {
        if (service.ends_with(".service")) {
            service.resize(service.size() - std::string_view(".service").size());
        }
        if (const std::string complaint = complaint_about_service(service); !complaint.empty()) {
            return cannot(
                fmt::format("the name of a service '{}' {}", printable(service), complaint),
                "a name is like cyrus-imapd or postgresql@15-main");
        }
        std::string held = hold(service, files, plan);
        if (held.empty()) {
            return cannot(fmt::format("nothing in the system would start a service '{}', so that "
                                      "it cannot be held",
                                      service),
                          hint_for(input.files, service));
        }
        details.push_back(std::move(held));
    }
    plan.outcome = plan.edits.empty() ? Outcome::not_needed : Outcome::planned;
    plan.detail = fmt::format("{}", fmt::join(details, ", "));
    return plan;
}

} // namespace coldspare::fixup
