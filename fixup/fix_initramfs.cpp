#include "base/text.hpp"
#include "fixup/fixes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

// Debian's initramfs-tools. With MODULES=dep (host-only) a rebuild looks at the machine it runs on,
// which is the appliance and neither the old server nor the VM: the result would lack the old
// server's disk driver and have the appliance's by accident. So the rebuild runs with two temporary
// files: conf.d/zz-coldspare says MODULES=list, and a hook adds every module that the old initramfs
// had. The hook only copies modules, it does not load them at boot, as lines in the `modules` file
// would. (MODULES=most would do too, at three times the size and the time.) What lasts are the
// virtio lines in that file, for the rebuilds of later kernels.

namespace coldspare::fixup {

namespace {

constexpr std::array<std::string_view, 3> drivers{"virtio_pci", "virtio_blk", "virtio_scsi"};
/// Without these the VM's disk does not appear; virtio_scsi is one more way to attach it.
constexpr std::array<std::string_view, 2> indispensable{"virtio_pci", "virtio_blk"};

constexpr std::string_view modules_path = "/etc/initramfs-tools/modules";
constexpr std::string_view block_begin = "# coldspare fixup: the disk of the virtual machine";
constexpr std::string_view block_end = "# end of coldspare fixup";
constexpr std::string_view no_virtio_hint =
    "run the VM with a SATA disk (bus='sata') and an e1000 network card, or install a kernel with "
    "virtio drivers on the server and clone again";

bool has(const std::set<std::string>& names, std::string_view name) {
    return names.contains(std::string(name));
}

bool kernel_has_virtio(const KernelFacts& kernel) {
    return std::ranges::all_of(indispensable, [&](std::string_view driver) {
        return has(kernel.builtin, driver) || has(kernel.loadable, driver);
    });
}

/// Drivers that the kernel has as modules and its initramfs has not.
std::vector<std::string_view> missing_drivers(const KernelFacts& kernel) {
    std::vector<std::string_view> missing;
    for (const std::string_view driver : drivers) {
        if (has(kernel.loadable, driver) && !has(kernel.in_initrd, driver)) {
            missing.push_back(driver);
        }
    }
    return missing;
}

bool naming_is_edited(const PlanInput& input) {
    return std::ranges::any_of(input.before, [](const FixPlan& fix) {
        return std::ranges::any_of(
            fix.edits, [](const FileEdit& edit) { return edit.reach == Reach::initramfs; });
    });
}

bool is_host_only(const InitramfsFacts& facts) {
    return facts.mode != "most" && facts.mode != "list" && facts.mode != "netboot";
}

FixPlan cannot(std::string detail, std::string_view hint) {
    return {.outcome = Outcome::cannot, .detail = std::move(detail), .hint = std::string(hint)};
}

/// The `modules` file with the drivers it does not load yet, or nothing if it has them all.
std::optional<std::string> with_drivers(const std::string& content) {
    std::set<std::string> listed;
    for (const std::string_view line : split_lines(content)) {
        const std::string_view word = trim(line).substr(0, trim(line).find_first_of(" \t"));
        listed.insert(std::string(word));
    }
    std::string block;
    for (const std::string_view driver : drivers) {
        if (!has(listed, driver)) {
            block += fmt::format("{}\n", driver);
        }
    }
    if (block.empty()) {
        return std::nullopt;
    }
    const std::string_view gap = content.empty() || content.ends_with('\n') ? "" : "\n";
    return fmt::format("{}{}{}\n{}{}\n", content, gap, block_begin, block, block_end);
}

std::string keeping_hook(std::span<const KernelFacts* const> kernels) {
    std::set<std::string> modules(drivers.begin(), drivers.end());
    for (const KernelFacts* kernel : kernels) {
        modules.insert(kernel->in_initrd.begin(), kernel->in_initrd.end());
    }
    std::erase_if(modules, [](const std::string& name) {
        return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789_") != std::string::npos;
    });
    return fmt::format("#!/bin/sh\n"
                       "[ \"$1\" = prereqs ] && exit 0\n"
                       ". /usr/share/initramfs-tools/hook-functions\n"
                       "manual_add_modules {}\n",
                       fmt::join(modules, " "));
}

void add_edits(const Facts& facts, std::span<const KernelFacts* const> kernels, FixPlan& plan) {
    const std::string& old_modules = facts.initramfs.modules_file.value_or("");
    const bool lacking = std::ranges::any_of(
        kernels, [](const KernelFacts* kernel) { return !missing_drivers(*kernel).empty(); });
    const std::optional<std::string> new_modules = with_drivers(old_modules);
    if (new_modules && (lacking || is_host_only(facts.initramfs))) {
        plan.edits.push_back(
            {.path = std::string(modules_path),
             .before = facts.initramfs.modules_file,
             .after = *new_modules,
             .why = "the initramfs of this and of later kernels gets the drivers"});
    }
    const bool host_only = is_host_only(facts.initramfs);
    const bool all_listed = std::ranges::none_of(
        kernels, [](const KernelFacts* kernel) { return kernel->in_initrd.empty(); });
    const std::string_view choice = !host_only   ? ""
                                    : all_listed ? "MODULES=list\n"
                                                 : "MODULES=most\n";
    plan.edits.push_back({.path = "/etc/initramfs-tools/conf.d/zz-coldspare",
                          .after = fmt::format("COMPRESSLEVEL=1\n{}", choice),
                          .why = host_only ? "host-only would look at the hardware of the appliance"
                                           : "packing takes minutes where there is no KVM",
                          .lifetime = Lifetime::during_commands});
    if (host_only) {
        plan.edits.push_back({.path = "/etc/initramfs-tools/hooks/zz-coldspare",
                              .after = keeping_hook(kernels),
                              .why = "the initramfs keeps every module that it has now",
                              .lifetime = Lifetime::during_commands,
                              .mode = 0755});
    }
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

FixPlan rebuild(const PlanInput& input, std::span<const KernelFacts* const> kernels) {
    if (!input.facts.initramfs.update_initramfs) {
        return cannot(input.facts.initramfs.dracut
                          ? "the initramfs is built by dracut, which this version does not drive"
                          : "the initramfs must be rebuilt and there is no update-initramfs",
                      "run the VM with a SATA disk (bus='sata')");
    }
    if (std::optional<std::string> reason = lack_of_room(input.facts, kernels)) {
        return cannot(*std::move(reason), "remove old kernels on the server and clone again");
    }
    FixPlan plan{.outcome = Outcome::planned};
    std::vector<std::string_view> versions;
    std::set<std::string_view> missing;
    for (const KernelFacts* kernel : kernels) {
        versions.push_back(kernel->version);
        for (const std::string_view driver : missing_drivers(*kernel)) {
            missing.insert(driver);
        }
        plan.commands.push_back({.line = fmt::format("update-initramfs -u -k {}", kernel->version),
                                 .why = naming_is_edited(input)
                                            ? "drivers, and the copy of the names that it carries"
                                            : "drivers",
                                 .writes = kernel->initrd,
                                 .hint = "is update_initramfs=no set in "
                                         "/etc/initramfs-tools/update-initramfs.conf?"});
    }
    add_edits(input.facts, kernels, plan);
    plan.detail = fmt::format("initramfs of {} rebuilt {}", fmt::join(versions, ", "),
                              missing.empty() ? "with the new names"
                                              : fmt::format("with {}", fmt::join(missing, ", ")));
    return plan;
}

} // namespace

FixPlan plan_initramfs(const PlanInput& input) {
    const std::vector<KernelFacts>& kernels = input.facts.kernels;
    if (kernels.empty()) {
        return cannot("there is no kernel (vmlinuz-*) in /boot",
                      "check that the clone has the server's /boot");
    }
    const KernelFacts& first = kernels.front();
    if (!kernel_has_virtio(first)) {
        return cannot(fmt::format("kernel {} has no virtio drivers", first.version),
                      no_virtio_hint);
    }
    if (first.initrd.empty() && !missing_drivers(first).empty()) {
        return cannot(fmt::format("kernel {} has no initramfs in /boot", first.version),
                      "make one on the server with update-initramfs -c and clone again");
    }
    FixPlan plan;
    std::vector<const KernelFacts*> to_rebuild;
    std::vector<std::string> warnings;
    for (const std::string& version : input.facts.left_out) {
        warnings.push_back(
            fmt::format("kernel {0} has no /lib/modules/{0} and is left out", version));
    }
    for (const KernelFacts& kernel : kernels) {
        if (!kernel_has_virtio(kernel)) {
            warnings.push_back(fmt::format("kernel {} has no virtio drivers: the VM cannot boot it",
                                           kernel.version));
        } else if (kernel.initrd.empty()) {
            if (!missing_drivers(kernel).empty()) {
                warnings.push_back(fmt::format("kernel {} has no initramfs", kernel.version));
            }
        } else if (naming_is_edited(input) || !missing_drivers(kernel).empty()) {
            to_rebuild.push_back(&kernel);
        }
        if (!kernel.unreadable.empty()) {
            warnings.push_back(
                fmt::format("{} cannot be listed: {}", kernel.initrd, kernel.unreadable));
        }
    }
    if (to_rebuild.empty()) {
        plan.detail = "every initramfs has the drivers of the VM's disk";
    } else {
        plan = rebuild(input, to_rebuild);
    }
    plan.warnings = std::move(warnings);
    return plan;
}

} // namespace coldspare::fixup
