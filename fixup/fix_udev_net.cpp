// Rules that name network cards are made to fit the VM's. A name that no rule mentions is left to
// name-pinning (fix_name_pinning.cpp), so that nothing is pinned twice.
#include "fixup/fixes.hpp"
#include "fixup/rules_files.hpp"
#include "fixup/udev_rewrite.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace coldspare::fixup {

namespace {

bool is_about_names(const std::string& path) {
    return path.find("-net") != std::string::npos || path.find("_net") != std::string::npos ||
           path.find("persistent") != std::string::npos;
}

std::string why_left(const GuestFile& file) {
    switch (file.status.kind) {
    case FileKind::directory:
        return "is a directory";
    case FileKind::symlink:
        return "is a symbolic link";
    case FileKind::file:
        return "is too large for a rules file";
    case FileKind::absent:
    case FileKind::other:
        break;
    }
    return "is not an ordinary file";
}

std::string detail_of(const std::set<std::string>& pinned, std::span<const NicBinding> nics,
                      const std::vector<FileEdit>& edits) {
    std::vector<std::string> names;
    for (const NicBinding& nic : nics) {
        if (pinned.contains(nic.name)) {
            names.push_back(fmt::format("{} is {}", nic.name, nic.mac));
        }
    }
    std::vector<std::string> paths;
    for (const FileEdit& edit : edits) {
        paths.push_back(edit.path);
    }
    if (names.empty()) {
        return paths.empty()
                   ? "no rule names a network card of the VM"
                   : fmt::format("rules for other cards go in {}", fmt::join(paths, ", "));
    }
    return paths.empty() ? fmt::format("the rules say it already: {}", fmt::join(names, ", "))
                         : fmt::format("{} in {}", fmt::join(names, ", "), fmt::join(paths, ", "));
}

} // namespace

FixPlan plan_udev_net(const PlanInput& input) {
    FixPlan plan;
    const std::map<std::string, std::string> rules = readable_rules(input.files);
    std::set<std::string> pinned;
    for (const std::string& path : input.files.in(rules_directory, ".rules")) {
        if (const auto found = rules.find(path); found != rules.end()) {
            pinned.merge(pinned_names(found->second, input.wishes.nics));
        } else if (is_about_names(path)) {
            plan.warnings.push_back(fmt::format("{} {} and was left as it is", path,
                                                why_left(*input.files.find(path))));
        }
    }
    for (const auto& [path, content] : rules) {
        RulesRewrite rewrite = rewrite_rules(content, input.wishes.nics, pinned);
        pinned = std::move(rewrite.pinned);
        const bool changes = rewrite.content != content;
        for (const std::string& note : rewrite.notes) {
            if (is_about_names(path) || changes) {
                plan.warnings.push_back(fmt::format("{}: {}", path, note));
            }
        }
        if (changes) {
            plan.edits.push_back({.path = path,
                                  .before = content,
                                  .after = std::move(rewrite.content),
                                  .why = "the names of the VM's network cards",
                                  .reach = Reach::initramfs});
        }
    }
    plan.outcome = plan.edits.empty() ? Outcome::not_needed : Outcome::planned;
    plan.detail = detail_of(pinned, input.wishes.nics, plan.edits);
    return plan;
}

} // namespace coldspare::fixup
