#include "fixup/initramfs.hpp"

#include "base/text.hpp"
#include "fixup/guest_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

// A program that builds an initramfs for one machine alone looks at the machine it runs on, which
// is the appliance and neither the old server nor the VM: the result would lack the old server's
// disk driver and have the appliance's by accident. So each is told to take every module that the
// old initramfs had, and the VM's drivers.
//
// initramfs-tools: two temporary files. conf.d/zz-coldspare says MODULES=list, and a hook copies
// the
//   modules; it does not load them at boot, as lines in the `modules` file would. (MODULES=most
//   would do too, at three times the size and the time.) What lasts are the lines in that file.
// dracut: the modules by --add-drivers. What it found out about the old machine's storage (its own
//   modules, and kernel arguments "rd...") is in the old image and is given to it again, by a
//   temporary file: options on the command line that an old dracut does not know would end it.
// mkinitrd of SUSE and of Red Hat: -m, --with. What lasts are INITRD_MODULES of
// /etc/sysconfig/kernel
//   and aliases of scsi_hostadapter in /etc/modprobe.conf.

namespace coldspare::fixup {

namespace {

constexpr std::string_view modules_path = "/etc/initramfs-tools/modules";
constexpr std::string_view block_begin = "# coldspare fixup: the disk of the virtual machine";
constexpr std::string_view block_end = "# end of coldspare fixup";
constexpr std::string_view dracut_path = "/etc/dracut.conf.d/90-coldspare.conf";
constexpr std::string_view suse_path = "/etc/sysconfig/kernel";
constexpr std::string_view modprobe_path = "/etc/modprobe.conf";
constexpr std::string_view why_lasting =
    "the initramfs of this and of later kernels gets the drivers";

std::optional<std::string> current(const PlanInput& input, std::string_view path) {
    const std::string* text = input.files.text(path);
    return text == nullptr ? std::nullopt : std::optional(*text);
}

bool is_name(std::string_view name) {
    return !name.empty() &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-") == std::string_view::npos;
}

/// Every module that the new initramfs of this kernel must have, the VM's drivers first.
std::vector<std::string> modules_to_keep(const InitramfsWork& work, const KernelFacts& kernel) {
    std::vector<std::string> names;
    for (const std::string& driver : wanted_drivers(work)) {
        if (kernel.loadable.contains(driver)) {
            names.push_back(driver);
        }
    }
    for (const std::string& name : kernel.in_initrd) {
        if (is_name(name) && kernel.loadable.contains(name) &&
            std::ranges::find(names, name) == names.end()) {
            names.push_back(name);
        }
    }
    return names;
}

/// As the file is called: old programs look for "dm-mod.ko" by its name.
std::string spelled(const KernelFacts& kernel, const std::string& name) {
    const auto found = kernel.modules.find(name);
    if (found == kernel.modules.end()) {
        return name;
    }
    std::string_view path = found->second.path;
    path.remove_prefix(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
    path = path.substr(0, path.rfind(".ko"));
    return is_name(path) ? std::string(path) : name;
}

std::vector<std::string> all_spelled(const KernelFacts& kernel, std::vector<std::string> names) {
    for (std::string& name : names) {
        name = spelled(kernel, name);
    }
    return names;
}

std::string gap_before_line(std::string_view text) {
    return text.empty() || text.ends_with('\n') ? "" : "\n";
}

// --- initramfs-tools

bool is_host_only(const InitramfsFacts& facts) {
    return facts.mode != "most" && facts.mode != "list" && facts.mode != "netboot";
}

/// The `modules` file with the drivers it does not load yet, or nothing if it has them all.
std::optional<std::string> with_lines(const std::string& content,
                                      const std::vector<std::string>& drivers) {
    std::set<std::string_view> listed;
    for (const std::string_view line : split_lines(content)) {
        listed.insert(trim(line).substr(0, trim(line).find_first_of(" \t")));
    }
    std::string block;
    for (const std::string& driver : drivers) {
        if (!listed.contains(driver)) {
            block += driver + "\n";
        }
    }
    if (block.empty()) {
        return std::nullopt;
    }
    return fmt::format("{}{}{}\n{}{}\n", content, gap_before_line(content), block_begin, block,
                       block_end);
}

std::string keeping_hook(const InitramfsWork& work) {
    std::set<std::string> modules;
    for (const KernelFacts* kernel : work.kernels) {
        modules.merge([&] {
            const std::vector<std::string> names = modules_to_keep(work, *kernel);
            return std::set<std::string>(names.begin(), names.end());
        }());
    }
    return fmt::format("#!/bin/sh\n"
                       "[ \"$1\" = prereqs ] && exit 0\n"
                       ". /usr/share/initramfs-tools/hook-functions\n"
                       "manual_add_modules {}\n",
                       fmt::join(modules, " "));
}

void add_debian_edits(const InitramfsWork& work, FixPlan& plan) {
    const bool host_only = is_host_only(work.input.facts.initramfs);
    const bool all_listed = std::ranges::none_of(
        work.kernels, [](const KernelFacts* kernel) { return kernel->in_initrd.empty(); });
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
                              .after = keeping_hook(work),
                              .why = "the initramfs keeps every module that it has now",
                              .lifetime = Lifetime::during_commands,
                              .mode = 0755});
    }
}

// --- dracut

/// Modules of dracut itself that find the root file system; what they need is in the copy, because
/// the old image had them.
std::set<std::string> storage_parts(const InitramfsWork& work) {
    constexpr std::array<std::string_view, 6> parts{"btrfs",  "crypt", "dm",
                                                    "dmraid", "lvm",   "mdraid"};
    std::set<std::string> had;
    for (const KernelFacts* kernel : work.kernels) {
        for (const auto& [name, text] : kernel->content ? kernel->content->listing.texts
                                                        : std::map<std::string, std::string>()) {
            for (const std::string_view line : split_lines(text)) {
                const std::string_view* const found = std::ranges::find(parts, trim(line));
                if (name.ends_with("/modules.txt") && found != parts.end()) {
                    had.insert(std::string(*found));
                }
            }
        }
    }
    return had;
}

/// The "rd..." arguments that the old image brought along.
std::set<std::string> storage_arguments(const InitramfsWork& work) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789._=/:,@+-";
    std::set<std::string> arguments;
    for (const KernelFacts* kernel : work.kernels) {
        for (const auto& [name, text] : kernel->content ? kernel->content->listing.texts
                                                        : std::map<std::string, std::string>()) {
            std::string_view rest = name.starts_with("etc/cmdline.d/") ? text : std::string_view();
            for (rest = trim(rest); !rest.empty(); rest = trim(rest)) {
                const std::string_view word = rest.substr(0, rest.find_first_of(" \t\r\n"));
                if (word.starts_with("rd.") && word.find_first_not_of(plain) == word.npos) {
                    arguments.insert(std::string(word));
                }
                rest.remove_prefix(word.size());
            }
        }
    }
    return arguments;
}

void add_dracut_edits(const InitramfsWork& work, FixPlan& plan) {
    std::string settings = "hostonly_cmdline=\"no\"\n";
    const bool all_listed = std::ranges::none_of(
        work.kernels, [](const KernelFacts* kernel) { return kernel->in_initrd.empty(); });
    if (!all_listed) {
        settings += "hostonly=\"no\"\n";
    }
    if (const std::set<std::string> parts = storage_parts(work); !parts.empty()) {
        settings += fmt::format("add_dracutmodules+=\" {} \"\n", fmt::join(parts, " "));
    }
    if (const std::set<std::string> arguments = storage_arguments(work); !arguments.empty()) {
        settings += fmt::format("kernel_cmdline+=\" {} \"\n", fmt::join(arguments, " "));
    }
    plan.edits.push_back({.path = "/etc/dracut.conf.d/zz-coldspare.conf",
                          .after = settings,
                          .why = "what dracut knew of the server's storage, and the appliance's "
                                 "not in its place",
                          .lifetime = Lifetime::during_commands});
}

// --- SUSE's and Red Hat's mkinitrd

/// /etc/sysconfig/kernel with the drivers at the end of INITRD_MODULES="...", or nothing.
std::optional<std::string> with_initrd_modules(const std::string& text,
                                               const std::vector<std::string>& drivers) {
    constexpr std::string_view key = "INITRD_MODULES=\"";
    std::size_t at = text.starts_with(key) ? 0 : text.find("\nINITRD_MODULES=\"");
    if (at == std::string::npos) {
        return drivers.empty()
                   ? std::nullopt
                   : std::optional(fmt::format("{}{}{}{}\"\n", text, gap_before_line(text), key,
                                               fmt::join(drivers, " ")));
    }
    at = text.find('"', at) + 1;
    const std::size_t end = text.find('"', at);
    if (end == std::string::npos) {
        return std::nullopt;
    }
    const std::string value = " " + text.substr(at, end - at) + " ";
    std::string added;
    for (const std::string& driver : drivers) {
        if (value.find(" " + driver + " ") == std::string::npos) {
            added += (end == at && added.empty() ? "" : " ") + driver;
        }
    }
    return added.empty() ? std::nullopt
                         : std::optional(text.substr(0, end) + added + text.substr(end));
}

/// /etc/modprobe.conf with more aliases of scsi_hostadapter, by which mkinitrd knows what disks
/// hang on, or nothing.
std::optional<std::string> with_adapters(const std::string& text,
                                         const std::vector<std::string>& drivers) {
    std::set<std::string> aliased;
    std::set<std::string> taken;
    for (const std::string_view line : split_lines(text)) {
        const std::string_view bare = trim(line);
        constexpr std::string_view start = "alias scsi_hostadapter";
        if (bare.starts_with(start)) {
            const std::string_view rest = bare.substr(6);
            taken.insert(std::string(rest.substr(0, rest.find_first_of(" \t"))));
            aliased.insert(std::string(bare.substr(bare.find_last_of(" \t") + 1)));
        }
    }
    std::string added;
    unsigned number = 0;
    for (const std::string& driver : drivers) {
        if (aliased.contains(driver) || driver == "sd_mod" || driver == "ide-disk") {
            continue;
        }
        std::string name = "scsi_hostadapter";
        while (taken.contains(name)) {
            name = fmt::format("scsi_hostadapter{}", ++number);
        }
        taken.insert(name);
        added += fmt::format("alias {} {}\n", name, driver);
    }
    return added.empty() ? std::nullopt : std::optional(text + gap_before_line(text) + added);
}

std::string root_device(const Facts& facts) {
    for (const GuestVolume& volume : facts.system.volumes) {
        if (volume.mount_point == "/") {
            return volume.device;
        }
    }
    return {};
}

std::string base_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

std::string command_line(const InitramfsWork& work, const KernelFacts& kernel) {
    const Facts& facts = work.input.facts;
    const std::string& prefix = facts.initramfs.personality;
    const std::vector<std::string> modules = modules_to_keep(work, kernel);
    switch (facts.initramfs.builder) {
    case InitramfsBuilder::initramfs_tools:
        return fmt::format("{}update-initramfs -u -k {}", prefix, kernel.version);
    case InitramfsBuilder::dracut:
        return fmt::format("{}dracut --force --add-drivers '{}' {} {}", prefix,
                           fmt::join(modules, " "), kernel.initrd, kernel.version);
    case InitramfsBuilder::suse_mkinitrd: {
        const std::string root = root_device(facts);
        return fmt::format("{}mkinitrd -k {} -i {} -m '{}'{}", prefix, base_name(kernel.image),
                           base_name(kernel.initrd), fmt::join(all_spelled(kernel, modules), " "),
                           root.empty() ? "" : " -d " + shell_quoted(root));
    }
    case InitramfsBuilder::redhat_mkinitrd:
        return fmt::format("{}mkinitrd -f --with={} {} {}", prefix,
                           fmt::join(all_spelled(kernel, modules), " --with="), kernel.initrd,
                           kernel.version);
    case InitramfsBuilder::none:
        break;
    }
    return {};
}

FileEdit lasting(const PlanInput& input, std::string_view path, std::string after) {
    return {.path = std::string(path),
            .before = current(input, path),
            .after = std::move(after),
            .why = std::string(why_lasting)};
}

} // namespace

std::vector<FileEdit> lasting_settings(const InitramfsWork& work) {
    const PlanInput& input = work.input;
    const bool lacking = std::ranges::any_of(work.kernels, [&](const KernelFacts* kernel) {
        return !missing_drivers(*kernel, work.disk).empty();
    });
    const std::vector<std::string> drivers = wanted_drivers(work);
    const std::vector<std::string> names = all_spelled(input.facts.kernels.front(), drivers);
    std::optional<std::string> after;
    std::string_view path;
    switch (input.facts.initramfs.builder) {
    case InitramfsBuilder::initramfs_tools:
        path = modules_path;
        after = lacking || is_host_only(input.facts.initramfs)
                    ? with_lines(current(input, path).value_or(""), drivers)
                    : std::nullopt;
        break;
    case InitramfsBuilder::dracut:
        path = dracut_path;
        if (lacking && !drivers.empty() && !input.files.exists(path)) {
            after =
                fmt::format("{}\nadd_drivers+=\" {} \"\n", block_begin, fmt::join(drivers, " "));
        }
        break;
    case InitramfsBuilder::suse_mkinitrd:
        path = suse_path;
        after =
            lacking ? with_initrd_modules(current(input, path).value_or(""), names) : std::nullopt;
        break;
    case InitramfsBuilder::redhat_mkinitrd:
        path = modprobe_path;
        after = lacking ? with_adapters(current(input, path).value_or(""), names) : std::nullopt;
        break;
    case InitramfsBuilder::none:
        break;
    }
    return after ? std::vector{lasting(input, path, *std::move(after))} : std::vector<FileEdit>();
}

void add_rebuild(const InitramfsWork& work, FixPlan& plan) {
    const Facts& facts = work.input.facts;
    const bool debian = facts.initramfs.builder == InitramfsBuilder::initramfs_tools;
    if (debian) {
        add_debian_edits(work, plan);
    } else if (facts.initramfs.builder == InitramfsBuilder::dracut) {
        add_dracut_edits(work, plan);
    }
    for (const KernelFacts* kernel : work.kernels) {
        plan.commands.push_back(
            {.line = command_line(work, *kernel),
             .why = copies_are_stale(work.input)
                        ? "drivers, and the copy of the names that it carries"
                        : "drivers",
             .writes = kernel->initrd,
             .hint = debian ? "is update_initramfs=no set in "
                              "/etc/initramfs-tools/update-initramfs.conf?"
                            : "",
             .need = kernel == &facts.kernels.front() ? Need::mandatory : Need::best_effort});
    }
}

} // namespace coldspare::fixup
