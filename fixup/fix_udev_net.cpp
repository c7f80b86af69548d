#include "fixup/fixes.hpp"
#include "fixup/udev_rewrite.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::string_view directory = "/etc/udev/rules.d/";
constexpr std::string_view usual_file = "70-persistent-net.rules";
/// Where a rule goes when the usual file was made unusable on purpose (a directory, a link).
constexpr std::string_view own_file = "70-coldspare-net.rules";

bool is_about_names(const RulesFile& file) {
    return file.path.find("-net") != std::string::npos ||
           file.path.find("_net") != std::string::npos ||
           file.path.find("persistent") != std::string::npos;
}

std::string why_left(const RulesFile& file) {
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

RulesFile* find_file(std::vector<RulesFile>& files, std::string_view name) {
    const auto found = std::ranges::find_if(files, [&](const RulesFile& file) {
        return file.path == fmt::format("{}{}", directory, name);
    });
    return found == files.end() ? nullptr : &*found;
}

/// The file that takes a rule which no file has yet; made if there is none.
RulesFile& file_for_new_rules(std::vector<RulesFile>& files) {
    for (const std::string_view name : {usual_file, std::string_view("z25_persistent-net.rules")}) {
        RulesFile* file = find_file(files, name);
        if (file != nullptr && file->readable) {
            return *file;
        }
    }
    for (RulesFile& file : files) {
        if (file.readable && file.path.find("persistent-net") != std::string::npos &&
            file.path.find("generator") == std::string::npos) {
            return file;
        }
    }
    const std::string_view name = find_file(files, usual_file) == nullptr ? usual_file : own_file;
    if (RulesFile* file = find_file(files, name)) {
        return *file;
    }
    files.push_back({.path = fmt::format("{}{}", directory, name), .readable = true});
    return files.back();
}

/// The edits that turn `before` into `after`.
std::vector<FileEdit> edits_between(const std::vector<RulesFile>& before,
                                    const std::vector<RulesFile>& after) {
    std::vector<FileEdit> edits;
    for (std::size_t i = 0; i < after.size(); ++i) {
        const bool existed = i < before.size();
        if (existed && before[i].content == after[i].content) {
            continue;
        }
        edits.push_back({.path = after[i].path,
                         .before = existed ? std::optional(before[i].content) : std::nullopt,
                         .after = after[i].content,
                         .why = "the names of the VM's network cards",
                         .reach = Reach::initramfs});
    }
    return edits;
}

std::string detail_of(std::span<const NicBinding> nics, const std::vector<FileEdit>& edits) {
    std::vector<std::string> names;
    for (const NicBinding& nic : nics) {
        names.push_back(fmt::format("{} is {}", nic.name, nic.mac));
    }
    std::vector<std::string> paths;
    for (const FileEdit& edit : edits) {
        paths.push_back(edit.path);
    }
    if (paths.empty()) {
        return fmt::format("the rules say it already: {}", fmt::join(names, ", "));
    }
    return fmt::format("{} in {}", fmt::join(names, ", "), fmt::join(paths, ", "));
}

} // namespace

FixPlan plan_udev_net(const PlanInput& input) {
    FixPlan plan;
    if (!input.facts.rules_directory) {
        plan.outcome = Outcome::cannot;
        plan.detail = "there is no /etc/udev/rules.d: network cards are not named by udev";
        plan.hint = "give the VM the hardware addresses of the old cards";
        return plan;
    }
    std::vector<RulesFile> files = input.facts.rules;
    std::set<std::string> pinned;
    for (const RulesFile& file : files) {
        if (file.readable) {
            pinned.merge(pinned_names(file.content, input.wishes.nics));
        } else if (is_about_names(file)) {
            plan.warnings.push_back(
                fmt::format("{} {} and was left as it is", file.path, why_left(file)));
        }
    }
    for (RulesFile& file : files) {
        if (!file.readable) {
            continue;
        }
        RulesRewrite rewrite = rewrite_rules(file.content, input.wishes.nics, pinned);
        if (is_about_names(file) || rewrite.content != file.content) {
            for (const std::string& note : rewrite.notes) {
                plan.warnings.push_back(fmt::format("{}: {}", file.path, note));
            }
        }
        file.content = std::move(rewrite.content);
        pinned = std::move(rewrite.pinned);
    }
    for (const NicBinding& nic : input.wishes.nics) {
        if (!pinned.contains(nic.name)) {
            RulesFile& file = file_for_new_rules(files);
            const RuleDialect dialect = file.path.ends_with("z25_persistent-net.rules") &&
                                                dialect_of(file.content) == RuleDialect::attrs
                                            ? RuleDialect::attrs
                                            : RuleDialect::attr;
            file.content = append_rule(file.content, nic, dialect);
        }
    }
    plan.edits = edits_between(input.facts.rules, files);
    plan.outcome = plan.edits.empty() ? Outcome::not_needed : Outcome::planned;
    plan.detail = detail_of(input.wishes.nics, plan.edits);
    return plan;
}

} // namespace coldspare::fixup
