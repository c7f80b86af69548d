#include "base/text.hpp"
#include "fixup/fixes.hpp"
#include "fixup/initramfs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

// Which initramfs must change, and whether it is built anew by the copy's own program (whole, and
// the way it will be built again) or gets an archive behind it (seconds, and nothing of the copy
// runs). The kernel that starts by default must end with its drivers; the others are tried.

namespace coldspare::fixup {

namespace {

constexpr std::string_view no_driver_hint =
    "install a kernel with virtio drivers on the server and clone again";

FixPlan cannot(std::string detail, std::string_view hint) {
    return {.outcome = Outcome::cannot, .detail = std::move(detail), .hint = std::string(hint)};
}

std::string driver_words(const DiskAttachment& disk) {
    return disk.drivers.front() == "virtio_pci" ? "virtio" : std::string(disk.drivers.front());
}

/// Room for the new image beside the old one, and for the tree it is packed from.
std::optional<std::string> lack_of_room(const Facts& facts,
                                        std::span<const KernelFacts* const> kernels) {
    constexpr std::uint64_t reserve = std::uint64_t{16} << 20;
    constexpr std::uint64_t unpacked_ratio = 4;
    std::uint64_t largest = 0;
    for (const KernelFacts* kernel : kernels) {
        largest = std::max(largest, kernel->initrd_bytes);
    }
    const std::uint64_t boot_need = largest + largest / 4 + reserve; // packed less tightly
    const std::uint64_t root_need = largest * unpacked_ratio + reserve;
    if (facts.boot_free < boot_need) {
        return fmt::format("/boot has {} free, and a new initramfs needs {}",
                           format_bytes(facts.boot_free), format_bytes(boot_need));
    }
    if (facts.root_free < root_need) {
        return fmt::format("the root file system has {} free, and building an initramfs needs {}",
                           format_bytes(facts.root_free), format_bytes(root_need));
    }
    return std::nullopt;
}

std::optional<std::string> lack_of_room_behind(const Facts& facts, const FixPlan& plan) {
    constexpr std::uint64_t reserve = std::uint64_t{1} << 20;
    std::uint64_t need = reserve;
    for (const FileEdit& edit : plan.edits) {
        need += edit.kind == EditKind::append ? edit.after.size() : 0;
    }
    if (facts.boot_free >= need) {
        return std::nullopt;
    }
    return fmt::format("/boot has {} free, and what is appended to the initramfs needs {}",
                       format_bytes(facts.boot_free), format_bytes(need));
}

/// What becomes of each kernel's initramfs.
struct Division {
    InitramfsWork rebuilt;
    InitramfsWork appended;
    std::vector<std::string> warnings;
    std::optional<FixPlan> obstacle;
};

Division divide(const InitramfsWork& work) {
    const PlanInput& input = work.input;
    const bool rebuildable = can_rebuild(input.facts);
    const std::string_view no_program = input.facts.system.runs_programs
                                            ? "there is no program that builds one"
                                            : "this host cannot run the copy's programs";
    Division division{.rebuilt = {input, work.disk, {}}, .appended = {input, work.disk, {}}};
    for (const KernelFacts* kernel : work.kernels) {
        const bool prefer_append = input.wishes.initramfs == InitramfsWay::append || !rebuildable;
        const std::optional<std::string> reason =
            prefer_append ? why_not_append(work, *kernel) : std::nullopt;
        if (prefer_append && !reason) {
            division.appended.kernels.push_back(kernel);
        } else if (rebuildable) {
            division.rebuilt.kernels.push_back(kernel);
            if (reason) {
                division.warnings.push_back(
                    fmt::format("{} is built anew, because {}", kernel->initrd, *reason));
            }
        } else if (kernel == &input.facts.kernels.front()) {
            division.obstacle =
                cannot(fmt::format("the initramfs of {} must be another, {}, and nothing can be "
                                   "appended: {}",
                                   kernel->version, no_program, *reason),
                       "run the VM with a SATA disk (bus='sata')");
        } else {
            division.warnings.push_back(
                fmt::format("{} stays as it is, because {}", kernel->initrd, *reason));
        }
    }
    return division;
}

std::string summary(const InitramfsWork& work, std::string_view rebuilt_or_appended) {
    std::vector<std::string_view> versions;
    std::set<std::string> missing;
    for (const KernelFacts* kernel : work.kernels) {
        versions.push_back(kernel->version);
        for (std::string& driver : missing_drivers(*kernel, work.disk)) {
            missing.insert(std::move(driver));
        }
    }
    return fmt::format("initramfs of {} {} with {}", fmt::join(versions, ", "), rebuilt_or_appended,
                       missing.empty() ? std::string("the new names")
                                       : fmt::format("{}", fmt::join(missing, ", ")));
}

FixPlan change(const InitramfsWork& work) {
    Division division = divide(work);
    if (division.obstacle) {
        return *std::move(division.obstacle);
    }
    FixPlan plan{.outcome = Outcome::planned, .warnings = std::move(division.warnings)};
    plan.edits = lasting_settings(work);
    std::vector<std::string> details;
    if (!division.rebuilt.kernels.empty()) {
        if (std::optional<std::string> reason =
                lack_of_room(work.input.facts, division.rebuilt.kernels)) {
            return cannot(*std::move(reason), "remove old kernels on the server and clone again");
        }
        add_rebuild(division.rebuilt, plan);
        details.push_back(summary(division.rebuilt, "rebuilt"));
    }
    if (!division.appended.kernels.empty()) {
        add_append(division.appended, plan);
        if (std::optional<std::string> reason = lack_of_room_behind(work.input.facts, plan)) {
            return cannot(*std::move(reason), "remove old kernels on the server and clone again");
        }
        details.push_back(summary(division.appended, "extended"));
    }
    plan.detail = fmt::format("{}", fmt::join(details, "; "));
    if (plan.edits.empty() && plan.commands.empty()) {
        plan.outcome = Outcome::not_needed;
        plan.detail = "no initramfs can be changed";
    }
    return plan;
}

std::vector<std::string> remarks(const PlanInput& input, const DiskAttachment& disk) {
    std::vector<std::string> warnings;
    for (const std::string& version : input.facts.left_out) {
        warnings.push_back(
            fmt::format("kernel {0} has no /lib/modules/{0} and is left out", version));
    }
    for (const std::string& path : input.facts.rescue) {
        warnings.push_back(fmt::format("{} is of a rescue system and stays as it is", path));
    }
    for (const KernelFacts& kernel : input.facts.kernels) {
        if (!knows(kernel, disk)) {
            warnings.push_back(fmt::format("kernel {} has no {} drivers: the VM cannot boot it",
                                           kernel.version, driver_words(disk)));
        } else if (kernel.initrd.empty() && !missing_drivers(kernel, disk).empty()) {
            warnings.push_back(fmt::format("kernel {} has no initramfs", kernel.version));
        }
        if (!kernel.unreadable.empty()) {
            warnings.push_back(
                fmt::format("{} cannot be listed: {}", kernel.initrd, kernel.unreadable));
        }
    }
    return warnings;
}

} // namespace

bool copies_are_stale(const PlanInput& input) {
    return std::ranges::any_of(input.before, [](const FixPlan& fix) {
        return std::ranges::any_of(
            fix.edits, [](const FileEdit& edit) { return edit.reach == Reach::initramfs; });
    });
}

std::vector<std::string> wanted_drivers(const InitramfsWork& work) {
    std::vector<std::string> drivers;
    for (const std::vector<std::string_view>* list : {&work.disk.drivers, &work.disk.extras}) {
        for (const std::string_view driver : *list) {
            if (std::ranges::any_of(work.kernels, [&](const KernelFacts* kernel) {
                    return kernel->loadable.contains(std::string(driver));
                })) {
                drivers.emplace_back(driver);
            }
        }
    }
    return drivers;
}

FixPlan plan_initramfs(const PlanInput& input) {
    const std::vector<KernelFacts>& kernels = input.facts.kernels;
    if (kernels.empty()) {
        return cannot("there is no kernel (vmlinuz-*) in /boot",
                      "check that the clone has the server's /boot");
    }
    const KernelFacts& first = kernels.front();
    const DiskAttachment disk = disk_attachment(input.facts, input.files);
    if (!knows(first, disk)) {
        return cannot(fmt::format("kernel {} has no driver of a disk that a virtual machine has",
                                  first.version),
                      no_driver_hint);
    }
    if (first.initrd.empty() && !missing_drivers(first, disk).empty()) {
        return cannot(fmt::format("kernel {} has no initramfs in /boot", first.version),
                      "make one on the server and clone again");
    }
    InitramfsWork work{input, disk, {}};
    for (const KernelFacts& kernel : kernels) {
        const bool lacking = !missing_drivers(kernel, disk).empty();
        if (knows(kernel, disk) && !kernel.initrd.empty() && (lacking || copies_are_stale(input))) {
            work.kernels.push_back(&kernel);
        }
    }
    FixPlan plan{.detail = "every initramfs has the drivers of the VM's disk"};
    if (!work.kernels.empty()) {
        plan = change(work);
    }
    std::vector<std::string> warnings = remarks(input, disk);
    plan.warnings.insert(plan.warnings.begin(), warnings.begin(), warnings.end());
    return plan;
}

} // namespace coldspare::fixup
