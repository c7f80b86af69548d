#include "fixup/facts_kernels.hpp"

#include "base/text.hpp"
#include "fixup/default_kernel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_text = std::uint64_t{1} << 20;
constexpr std::uint64_t largest_module_list = std::uint64_t{16} << 20;
constexpr std::uint64_t largest_initramfs = std::uint64_t{256} << 20;
constexpr std::size_t most_kernels = 20;
constexpr std::size_t most_entries = 100;

bool is_file(Guest& guest, const std::string& path) {
    return guest.status(path).kind == FileKind::file;
}

std::string text_or_empty(Guest& guest, const std::string& path,
                          std::uint64_t limit = largest_text) {
    return text_of(guest, path, limit).value_or("");
}

/// The first of them that is an ordinary file, or empty.
std::string first_file(Guest& guest, std::initializer_list<std::string> paths) {
    for (const std::string& path : paths) {
        if (is_file(guest, path)) {
            return path;
        }
    }
    return {};
}

bool exists_any(Guest& guest, std::string_view name) {
    return std::ranges::any_of(
        std::array<std::string_view, 4>{"/usr/bin/", "/usr/sbin/", "/sbin/", "/bin/"},
        [&](std::string_view directory) {
            return exists(guest, std::string(directory).append(name));
        });
}

/// A version that may stand in a command and in a path.
bool is_plain(std::string_view version) {
    return !version.empty() && version.size() < 100 && version.find("..") == std::string::npos &&
           std::ranges::all_of(version, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      std::string_view("._+~-").find(c) != std::string_view::npos;
           });
}

KernelFacts kernel_in_boot(Guest& guest, const std::string& version, const std::string& image) {
    return {.version = version,
            .image = image,
            .initrd = first_file(guest, {"/boot/initrd.img-" + version,
                                         fmt::format("/boot/initramfs-{}.img", version),
                                         "/boot/initrd-" + version,
                                         fmt::format("/boot/initrd-{}.img", version)})};
}

void find_in_boot(Guest& guest, KernelList& list) {
    for (const std::string& name : guest.names_in("/boot")) {
        const std::string path = "/boot/" + name;
        const std::string version = kernel_version_in(path);
        const bool image = name.starts_with("initr");
        if (image &&
            (name.find("rescue") != std::string::npos || name.find("kdump") != std::string::npos)) {
            list.rescue.push_back(path);
        } else if (is_plain(version) && version.find("rescue") == std::string::npos) {
            list.kernels.push_back(kernel_in_boot(guest, version, path));
        }
    }
}

/// /boot/MACHINE/VERSION/linux, as kernel-install lays it out.
void find_by_machine(Guest& guest, KernelList& list) {
    const std::string machine(trim(text_or_empty(guest, "/etc/machine-id")));
    if (!is_plain(machine)) {
        return;
    }
    for (const std::string& version : guest.names_in("/boot/" + machine)) {
        const std::string directory = fmt::format("/boot/{}/{}", machine, version);
        if (is_plain(version) && is_file(guest, directory + "/linux")) {
            list.kernels.push_back(
                {.version = version,
                 .image = directory + "/linux",
                 .initrd = first_file(guest, {directory + "/initrd", directory + "/initrd.img"})});
        }
    }
}

/// Takes the kernels without modules out, unless none has any: "vmlinuz-5.10.bak" is nothing that
/// boots by itself, and update-initramfs fails for it.
void take_out_bare(Guest& guest, KernelList& list) {
    std::vector<KernelFacts> whole;
    std::vector<std::string> bare;
    for (const KernelFacts& kernel : list.kernels) {
        if (guest.status("/lib/modules/" + kernel.version).kind == FileKind::directory) {
            whole.push_back(kernel);
        } else {
            bare.push_back(kernel.version);
        }
    }
    if (!whole.empty()) {
        list.kernels = std::move(whole);
        list.left_out = std::move(bare);
    }
}

BootMenu boot_menu(Guest& guest) {
    BootMenu menu;
    std::vector<std::string> directories{"/boot/grub2", "/boot/grub"};
    for (const std::string& name : guest.names_in("/boot/efi/EFI")) {
        directories.push_back("/boot/efi/EFI/" + name);
    }
    for (const std::string& directory : directories) {
        std::string config = text_or_empty(guest, directory + "/grub.cfg");
        if (menu.grub_config.empty() && (config.find("menuentry") != std::string::npos ||
                                         config.find("blscfg") != std::string::npos)) {
            menu.grub_config = std::move(config);
        }
        if (menu.grub_environment.empty()) {
            menu.grub_environment = text_or_empty(guest, directory + "/grubenv");
        }
    }
    menu.legacy_menu = text_or_empty(guest, "/boot/grub/menu.lst");
    if (menu.legacy_menu.empty()) {
        menu.legacy_menu = text_or_empty(guest, "/boot/grub/grub.conf");
    }
    menu.legacy_saved = text_or_empty(guest, "/boot/grub/default");
    const std::string entries = "/boot/loader/entries";
    for (const std::string& name : guest.names_in(entries)) {
        if (name.ends_with(".conf") && menu.entries.size() < most_entries) {
            menu.entries[name.substr(0, name.size() - 5)] =
                text_or_empty(guest, fmt::format("{}/{}", entries, name));
        }
    }
    return menu;
}

void sort_kernels(Guest& guest, std::vector<KernelFacts>& kernels) {
    const std::string by_default = default_kernel(boot_menu(guest));
    std::ranges::stable_sort(kernels, [&](const KernelFacts& a, const KernelFacts& b) {
        return (a.version == by_default) != (b.version == by_default)
                   ? a.version == by_default
                   : older_version(b.version, a.version);
    });
    kernels.resize(std::min(kernels.size(), most_kernels));
}

void read_modules(Guest& guest, KernelFacts& kernel) {
    const std::string directory = "/lib/modules/" + kernel.version;
    kernel.builtin =
        module_names(text_or_empty(guest, directory + "/modules.builtin", largest_module_list));
    kernel.builtin.merge(builtin_by_config(text_or_empty(guest, "/boot/config-" + kernel.version)));
    kernel.modules = parse_modules_dep(
        text_or_empty(guest, directory + "/modules.dep", largest_module_list), kernel.version);
    for (const auto& [name, module] : kernel.modules) {
        kernel.loadable.insert(name);
    }
}

/// By the copy's own program, for an initramfs of a form that we do not read.
void list_by_program(Guest& guest, KernelFacts& kernel, const std::string& problem) {
    kernel.unreadable = problem;
    for (const std::string_view program : {"lsinitramfs", "lsinitrd"}) {
        if (!exists_any(guest, program)) {
            continue;
        }
        const CommandOutput listing = guest.run(fmt::format("{} '{}'", program, kernel.initrd));
        std::set<std::string> names = module_names(listing.text);
        if (listing.status == 0 && !names.empty()) {
            kernel.in_initrd = std::move(names);
            kernel.unreadable.clear();
            return;
        }
        if (listing.status != 0) {
            kernel.unreadable = printable(trim(listing.text).substr(0, 200));
        }
    }
}

void read_image(Guest& guest, KernelFacts& kernel, bool runs_programs) {
    kernel.initrd_bytes = guest.status(kernel.initrd).size;
    InitramfsImage image;
    if (kernel.initrd_bytes > largest_initramfs) {
        image.problem =
            fmt::format("it has {}, and at most {} are read", format_bytes(kernel.initrd_bytes),
                        format_bytes(largest_initramfs));
    } else {
        image = read_initramfs(guest.read(kernel.initrd, largest_initramfs));
    }
    if (!image.problem.empty()) {
        if (runs_programs) {
            list_by_program(guest, kernel, image.problem);
        } else {
            kernel.unreadable = image.problem;
        }
        return;
    }
    for (const auto& [name, mode] : image.listing.members) {
        if (std::string module = module_name(name); !module.empty()) {
            kernel.in_initrd.insert(std::move(module));
        }
    }
    kernel.content = std::move(image);
}

bool is_suse(Guest& guest, const std::string& distro) {
    return distro.find("suse") != std::string::npos || distro.starts_with("sle") ||
           exists(guest, "/etc/SuSE-release");
}

InitramfsBuilder builder_of(Guest& guest, const GuestSystem& system) {
    if (exists_any(guest, "update-initramfs")) {
        return InitramfsBuilder::initramfs_tools;
    }
    if (exists_any(guest, "dracut")) {
        return InitramfsBuilder::dracut;
    }
    if (system.package_format != "rpm" || !exists_any(guest, "mkinitrd")) {
        return InitramfsBuilder::none;
    }
    return is_suse(guest, system.distro) ? InitramfsBuilder::suse_mkinitrd
                                         : InitramfsBuilder::redhat_mkinitrd;
}

} // namespace

KernelList gather_kernels(Guest& guest, bool runs_programs) {
    KernelList list;
    find_in_boot(guest, list);
    find_by_machine(guest, list);
    take_out_bare(guest, list);
    sort_kernels(guest, list.kernels);
    for (KernelFacts& kernel : list.kernels) {
        read_modules(guest, kernel);
        if (!kernel.initrd.empty()) {
            read_image(guest, kernel, runs_programs);
        }
    }
    return list;
}

InitramfsFacts gather_initramfs(Guest& guest) {
    const GuestSystem system = guest.system();
    InitramfsFacts facts{.builder = builder_of(guest, system)};
    const std::string directory = "/etc/initramfs-tools";
    std::string configuration = text_or_empty(guest, directory + "/initramfs.conf");
    for (const std::string& name : guest.names_in(directory + "/conf.d")) {
        configuration += "\n" + text_or_empty(guest, directory + "/conf.d/" + name);
    }
    facts.mode = modules_setting(configuration);
    // "i386" to "i686": the appliance's kernel has 64 bits, and the programs would see that.
    if (system.arch.size() == 4 && system.arch.starts_with('i') && system.arch.ends_with("86")) {
        facts.personality = exists_any(guest, "linux32")   ? "linux32 "
                            : exists_any(guest, "setarch") ? "setarch i386 "
                                                           : "";
    }
    return facts;
}

void gather_module_files(Guest& guest, KernelFacts& kernel, const std::set<std::string>& drivers) {
    constexpr std::array<std::string_view, 12> lists{
        "modules.dep",     "modules.dep.bin",     "modules.alias",   "modules.alias.bin",
        "modules.symbols", "modules.symbols.bin", "modules.softdep", "modules.builtin",
        "modules.order",   "modules.builtin.bin", "modules.devname", "modules.builtin.alias.bin"};
    std::vector<std::string> paths(lists.begin(), lists.end());
    for (const std::string& name : with_dependencies(kernel, drivers)) {
        if (!kernel.in_initrd.contains(name)) {
            paths.push_back(kernel.modules.at(name).path);
        }
    }
    for (const std::string& path : paths) {
        const std::string whole = fmt::format("/lib/modules/{}/{}", kernel.version, path);
        if (is_file(guest, whole)) {
            kernel.module_files[path] = guest.read(whole, largest_module_list);
        }
    }
}

} // namespace coldspare::fixup
