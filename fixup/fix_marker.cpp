// The marker is the last edit of a fixup that edits anything, and of no other: on the second run
// nothing else is planned, and the marker that is there says what was done, not what there is to
// do.
#include "fixup/fixes.hpp"
#include "fixup/hold_ways.hpp"
#include "fixup/iscsi_nodes.hpp"
#include "fixup/marker.hpp"
#include "fixup/old_macs.hpp"

#include <algorithm>
#include <set>

namespace coldspare::fixup {

namespace {

/// One that nobody doubts, or empty.
std::string old_mac_of(const OldMacs& old, const std::string& name) {
    const auto found = old.by_name.find(name);
    return found == old.by_name.end() || found->second.size() != 1 ? std::string()
                                                                   : *found->second.begin();
}

/// How the service is released: settings first, then the starts.
MarkedHold marked_hold(const FileTree& files, std::string service) {
    if (service.ends_with(".service")) {
        service.resize(service.size() - std::string_view(".service").size());
    }
    MarkedHold hold{.service = service};
    for (HoldWay& way : hold_ways(files, service)) {
        hold.ways.push_back(std::move(way.way));
        hold.release.insert(hold.release.end(), way.release.begin(), way.release.end());
        hold.restore.insert(hold.restore.end(), way.restore.begin(), way.restore.end());
    }
    return hold;
}

std::vector<std::string> files_of(const FixPlan& fix) {
    std::set<std::string> files;
    for (const FileEdit& edit : fix.edits) {
        if (edit.lifetime == Lifetime::lasting) {
            files.insert(edit.path);
        }
    }
    for (const GuestCommand& command : fix.commands) {
        if (!command.writes.empty()) {
            files.insert(command.writes);
        }
    }
    return {files.begin(), files.end()};
}

Marker marker_of(const PlanInput& input) {
    Marker marker{.old_initiator_name = initiator_name(input.facts.files)};
    if (!input.wishes.skip.contains("initiator-name")) {
        marker.initiator_name = input.wishes.initiator_name;
    }
    const OldMacs old = old_macs(input.facts.files, input.facts.inventory, input.wishes.nics);
    for (const NicBinding& nic : input.wishes.nics) {
        marker.nics.push_back(
            {.name = nic.name, .old_mac = old_mac_of(old, nic.name), .mac = nic.mac});
    }
    if (!input.wishes.skip.contains("holds")) {
        for (const std::string& service : input.wishes.holds) {
            marker.holds.push_back(marked_hold(input.facts.files, service));
        }
    }
    for (const FixPlan& fix : input.before) {
        if (fix.outcome == Outcome::planned) {
            marker.fixes.push_back({.id = fix.id, .files = files_of(fix)});
        }
    }
    return marker;
}

} // namespace

FixPlan plan_marker(const PlanInput& input) {
    const auto has = [&input](Outcome outcome) {
        return std::ranges::find(input.before, outcome, &FixPlan::outcome) != input.before.end();
    };
    const std::string path(marker_path);
    const GuestFile* there = input.files.find(path);
    FixPlan plan;
    if (!has(Outcome::planned) || has(Outcome::cannot)) {
        plan.detail = there != nullptr ? "it is there" : "there is nothing to tell";
        return plan;
    }
    if (there != nullptr && !there->readable) {
        plan.detail = "something else is in its place";
        plan.warnings.push_back(path + " is no ordinary file and was left as it is");
        return plan;
    }
    const std::string* text = input.files.text(path);
    Marker marker = marker_of(input);
    if (const std::optional<Marker> older = parse_marker(text == nullptr ? "" : *text)) {
        marker = merged(*older, marker);
    }
    std::string after = encode_marker(marker);
    if (text != nullptr && *text == after) {
        plan.detail = "it is there";
        return plan;
    }
    plan.outcome = Outcome::planned;
    plan.detail = "the copy says what was done to it in " + path;
    plan.edits.push_back({.path = path,
                          .before = text == nullptr ? std::nullopt : std::optional(*text),
                          .after = std::move(after),
                          .why = "for the runbook and for the way back"});
    return plan;
}

} // namespace coldspare::fixup
