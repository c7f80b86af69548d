#include "fixup/repair.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "fixup/cards.hpp"
#include "fixup/guest_text.hpp"
#include "fixup/mentions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace coldspare::fixup {

namespace {

constexpr std::size_t shown_output = 200;
constexpr std::string_view marks = "/dev/coldspare-";
/// Where commands of a fix may remove files; names before and after show what is gone.
constexpr std::string_view watched = "/boot /etc /var/lib/initramfs-tools";

std::string checked(Guest& guest, const std::string& line) {
    CommandOutput output = guest.run(line);
    if (output.status != 0) {
        throw Error(fmt::format("'{}' inside the copy ended with status {}: {}", printable(line),
                                output.status, last_words(output.text, shown_output)));
    }
    return std::move(output.text);
}

std::set<std::string> paths_in(std::string_view text) {
    std::set<std::string> paths;
    for (const std::string_view line : split_lines(text)) {
        if (line.starts_with('/')) {
            paths.insert(std::string(line));
        }
    }
    return paths;
}

/// Watches which files change, by what the guest's own kernel interface says: a change time cannot
/// be set back by the programs that run.
class ChangeWatch {
public:
    ChangeWatch(Guest& guest, std::vector<std::string> mount_points)
        : guest_(guest), mount_points_(std::move(mount_points)) {
        names_ = list_names();
        mark("begin", now() - 1);
    }

    /// Paths that changed, came or went.
    [[nodiscard]] std::vector<std::string> changed() {
        // A file whose time lies in the future was so before: the server's clock was ahead. The
        // second that runs now belongs to what was done.
        mark("end", now() + 1);
        std::string quoted;
        for (const std::string& point : mount_points_) {
            quoted += " " + shell_quoted(point);
        }
        std::set<std::string> paths = paths_in(checked(
            guest_, fmt::format("find{} -xdev ! -type d -cnewer {}begin ! -cnewer {}end -print",
                                quoted, marks, marks)));
        const std::set<std::string> names = list_names();
        std::ranges::set_symmetric_difference(names_, names, std::inserter(paths, paths.end()));
        return {paths.begin(), paths.end()};
    }

    /// Whether this file was written, by a name that may lead through links as no changed path
    /// does.
    [[nodiscard]] bool was_written(const std::string& path) {
        const CommandOutput output =
            guest_.run(fmt::format("find {} -cnewer {}begin -print", shell_quoted(path), marks));
        return output.status == 0 && !trim(output.text).empty();
    }

private:
    [[nodiscard]] std::set<std::string> list_names() {
        // etckeeper's repository has as many files as /etc had changes.
        return paths_in(checked(guest_, fmt::format("for d in {}; do [ ! -d $d ] || find $d -xdev "
                                                    "-type d -name .git -prune -o -print; done",
                                                    watched)));
    }
    /// A file with this time in /dev, which is the appliance's and not the copy's: find of 2007
    /// knows no other way to compare times of change (-newerct came with findutils 4.3.3).
    void mark(const char* name, std::int64_t at) {
        checked(guest_, fmt::format("touch -d '1970-01-01 UTC {} seconds' {}{}", at, marks, name));
    }
    [[nodiscard]] std::int64_t now() {
        const std::string output = checked(guest_, "date +%s");
        const std::string_view text = trim(output);
        std::int64_t seconds = 0;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (failed != std::errc() || end != text.data() + text.size()) {
            throw Error("the copy's 'date +%s' did not print a number");
        }
        return seconds;
    }

    Guest& guest_;
    std::vector<std::string> mount_points_;
    std::set<std::string> names_;
};

bool has_failed(const std::vector<CommandRecord>& commands, const GuestCommand& command) {
    return std::ranges::any_of(commands, [&command](const CommandRecord& record) {
        return record.line == command.line && !record.failure.empty();
    });
}

/// A command may report success and do nothing, and the facts alone would not show it.
void check_written(const Plan& plan, const std::vector<CommandRecord>& commands,
                   const std::vector<std::string>& changed, ChangeWatch& watch) {
    for (const FixPlan& fix : plan.fixes) {
        for (const GuestCommand& command : fix.commands) {
            if (!command.writes.empty() && !has_failed(commands, command) &&
                std::ranges::find(changed, command.writes) == changed.end() &&
                !watch.was_written(command.writes)) {
                throw Error(fmt::format("'{}' reported success and did not write '{}'",
                                        command.line, command.writes),
                            command.hint);
            }
        }
    }
}

/// Before the first change: an initramfs counts for itself, everything else is counted here.
void check_room(const Facts& facts, const Plan& plan) {
    constexpr std::uint64_t reserve = std::uint64_t{4} << 20;
    std::uint64_t bytes = reserve;
    for (const FixPlan& fix : plan.fixes) {
        for (const FileEdit& edit : fix.edits) {
            bytes += edit.kind == EditKind::write ? edit.after.size() : 0;
        }
    }
    if (facts.root_free < bytes) {
        throw Error(fmt::format("the copy's root file system has {} free, and the changes need {}",
                                format_bytes(facts.root_free), format_bytes(bytes)),
                    "make room on the server and clone again");
    }
}

void check_no_module_lost(const Facts& before, const Facts& after) {
    for (const KernelFacts& old_kernel : before.kernels) {
        const auto found =
            std::ranges::find(after.kernels, old_kernel.version, &KernelFacts::version);
        std::vector<std::string> lost;
        if (found != after.kernels.end()) {
            std::ranges::set_difference(old_kernel.in_initrd, found->in_initrd,
                                        std::back_inserter(lost));
            // A module that has since gone from the disk is in no new image.
            std::erase_if(lost, [&old_kernel](const std::string& name) {
                return !old_kernel.loadable.contains(name);
            });
        }
        if (found == after.kernels.end() || !lost.empty()) {
            throw Error(fmt::format("the new initramfs of kernel {} lost modules that the old one "
                                    "had: {}",
                                    old_kernel.version, fmt::join(lost, ", ")),
                        "nothing was changed; run the VM with the disk and network card of the old "
                        "server's kind");
        }
    }
}

/// What the plan itself will touch for good, and the directories that it will make: on FAT, times
/// are too coarse to find that afterwards.
std::set<std::string> touched_by(Guest& guest, const Plan& plan) {
    std::set<std::string> paths;
    for (const FixPlan& fix : plan.fixes) {
        for (const FileEdit& edit : fix.edits) {
            if (edit.lifetime != Lifetime::lasting) {
                continue;
            }
            paths.insert(edit.path);
            for (std::string parent = edit.path.substr(0, edit.path.rfind('/'));
                 !parent.empty() && guest.status(parent).kind == FileKind::absent;
                 parent.resize(parent.rfind('/'))) {
                paths.insert(parent);
            }
        }
    }
    return paths;
}

RepairReport report_of(const Facts& facts, const Plan& plan, const Wishes& wishes) {
    Facts mended = facts;
    mended.files = files_after(std::move(mended.files), plan);
    RepairReport report{.system = fmt::format("{} {}, {}", facts.system.distro,
                                              facts.system.product, facts.system.arch),
                        .plan_text = plan_text(plan),
                        .vm = vm_requirements(mended, wishes.nics)};
    for (const FixPlan& fix : plan.fixes) {
        report.fixes.push_back(
            {.id = fix.id, .outcome = fix.outcome, .detail = fix.detail, .hint = fix.hint});
        for (const std::string& warning : fix.warnings) {
            report.warnings.push_back(fmt::format("{}: {}", fix.id, warning));
        }
    }
    return report;
}

void check_result(const Facts& before, const Facts& after, const Wishes& wishes,
                  const std::vector<CommandRecord>& commands) {
    check_no_module_lost(before, after);
    const Plan remaining = make_plan(after, wishes);
    for (const FixPlan& fix : remaining.fixes) {
        const bool known = !fix.commands.empty() && // the rest of it was done, and has warnings
                           std::ranges::all_of(fix.commands, [&](const GuestCommand& command) {
                               return has_failed(commands, command);
                           });
        if (!needs_nothing(fix.outcome) && !known) {
            throw Error(fmt::format("the fix '{}' did not help: {}", fix.id, fix.detail),
                        fix.hint.empty() ? "nothing was changed; see with --plan what was tried"
                                         : fix.hint);
        }
    }
}

/// What was done to the guest.
struct Applied {
    std::vector<CommandRecord> commands;
    std::vector<std::string> files; ///< that changed
};

Applied apply_watched(Guest& guest, const Facts& facts, const Plan& plan,
                      const NoteCallback& note) {
    std::set<std::string> touched = touched_by(guest, plan);
    if (!facts.system.runs_programs) { // nor those that watch; but then the plan has edits alone
        return {.commands = apply_plan(guest, plan, note),
                .files = {touched.begin(), touched.end()}};
    }
    // Where programs of a fix may write: ten million files of users take longer than all the rest.
    std::vector<std::string> points = facts.system.mount_points;
    std::erase_if(points, [](const std::string& point) {
        return point != "/" && point != "/etc" && point != "/var" && !point.starts_with("/boot") &&
               !point.starts_with("/efi") && !point.starts_with("/usr");
    });
    ChangeWatch watch(guest, std::move(points));
    Applied applied{.commands = apply_plan(guest, plan, note)};
    note("checking the result");
    const std::vector<std::string> changed = watch.changed();
    check_written(plan, applied.commands, changed, watch);
    touched.insert(changed.begin(), changed.end());
    applied.files.assign(touched.begin(), touched.end());
    return applied;
}

} // namespace

std::string way_out(const FixOutcome& obstacle) {
    return fmt::format("{}{}to do without it and see to it at the VM's console: --skip {}",
                       obstacle.hint, obstacle.hint.empty() ? "" : "; ", obstacle.id);
}

bool RepairReport::is_clean() const {
    return std::ranges::all_of(fixes,
                               [](const FixOutcome& fix) { return needs_nothing(fix.outcome); });
}

const FixOutcome* RepairReport::obstacle() const {
    const auto found = std::ranges::find(fixes, Outcome::cannot, &FixOutcome::outcome);
    return found == fixes.end() ? nullptr : &*found;
}

RepairReport repair(Guest& guest, const Wishes& wishes, Depth depth, const NoteCallback& note,
                    const std::optional<Inventory>& told) {
    note("looking at boot loader, initramfs and names");
    const std::optional<Inventory> inventory = believed(told, guest.system(), wishes.nics);
    const Facts facts = gather_facts(guest, inventory, wishes.initramfs);
    check_cards(wishes.nics, inventory);
    const Plan plan = make_plan(facts, wishes);
    RepairReport report = report_of(facts, plan, wishes);
    if (told && !inventory) {
        report.warnings.emplace_back("the inventory was made by another system (a live one?) and "
                                     "is not believed: nothing in the copy has the UUID of its /");
    }
    for (const std::string& warning : mention_warnings(guest, facts, wishes, plan)) {
        report.warnings.push_back(fmt::format("network-config: {}", warning));
    }
    if (depth == Depth::look || report.is_clean() || report.obstacle() != nullptr) {
        return report;
    }
    check_room(facts, plan);
    Applied applied = apply_watched(guest, facts, plan, note);
    report.files = std::move(applied.files);
    report.commands = std::move(applied.commands);
    check_result(facts, gather_facts(guest, inventory, wishes.initramfs), wishes, report.commands);
    for (const CommandRecord& command : report.commands) {
        if (!command.failure.empty()) {
            report.warnings.push_back(fmt::format("{}: {}", command.fix, command.failure));
        }
    }
    for (FixOutcome& fix : report.fixes) {
        fix.outcome = fix.outcome == Outcome::planned ? Outcome::applied : fix.outcome;
    }
    return report;
}

} // namespace coldspare::fixup
