#include "fixup/facts.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "fixup/fixes.hpp"
#include "fixup/grub_image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_rules_file = std::uint64_t{1} << 20;
constexpr std::size_t most_rules_lines = 20000;
constexpr std::size_t most_rules_files = 500;
constexpr std::uint64_t largest_text = std::uint64_t{1} << 20;
constexpr std::uint64_t largest_module_list = std::uint64_t{16} << 20;
constexpr std::uint64_t largest_core_image = std::uint64_t{8} << 20;
constexpr std::uint64_t sector_bytes = 512;
constexpr std::size_t most_kernels = 20;

bool exists(Guest& guest, const std::string& path) {
    return guest.status(path).kind != FileKind::absent;
}

/// The text of a file, or nothing if it is absent, a directory or larger than any such file is.
std::optional<std::string> text_of(Guest& guest, const std::string& path,
                                   std::uint64_t limit = largest_text) {
    const FileStatus status = guest.status(path);
    if (status.kind != FileKind::file || status.size > limit) {
        return std::nullopt;
    }
    return guest.read(path, limit);
}

std::vector<std::string_view> words_of(std::string_view line) {
    constexpr std::string_view blanks = " \t\r";
    std::vector<std::string_view> words;
    for (std::size_t at = line.find_first_not_of(blanks); at < line.size();) {
        const std::size_t end = std::min(line.find_first_of(blanks, at), line.size());
        words.push_back(line.substr(at, end - at));
        at = line.find_first_not_of(blanks, end);
    }
    return words;
}

std::vector<RulesFile> rules_files(Guest& guest) {
    std::vector<RulesFile> files;
    const std::string directory = "/etc/udev/rules.d";
    for (const std::string& name : guest.names_in(directory)) {
        if (!name.ends_with(".rules") || files.size() == most_rules_files) {
            continue;
        }
        RulesFile file{.path = directory + "/" + name};
        file.status = guest.status(file.path);
        if (file.status.kind == FileKind::file && file.status.size <= largest_rules_file) {
            file.content = guest.read(file.path, largest_rules_file);
            file.readable = static_cast<std::size_t>(std::ranges::count(file.content, '\n')) <=
                            most_rules_lines;
        }
        files.push_back(std::move(file));
    }
    return files;
}

KernelFacts kernel_facts(Guest& guest, const std::string& version, bool can_list) {
    KernelFacts kernel{.version = version};
    const std::string modules = "/lib/modules/" + version;
    kernel.builtin = module_names(
        text_of(guest, modules + "/modules.builtin", largest_module_list).value_or(""));
    std::string loadable;
    // "path: what it needs": the path alone counts.
    const std::string dependencies =
        text_of(guest, modules + "/modules.dep", largest_module_list).value_or("");
    for (const std::string_view line : split_lines(dependencies)) {
        loadable.append(line.substr(0, line.find(':'))).append("\n");
    }
    kernel.loadable = module_names(loadable);
    const std::string initrd = "/boot/initrd.img-" + version;
    const FileStatus status = guest.status(initrd);
    if (status.kind != FileKind::file) {
        return kernel;
    }
    kernel.initrd = initrd;
    kernel.initrd_bytes = status.size;
    if (can_list) {
        const CommandOutput listing = guest.run(fmt::format("lsinitramfs '{}'", initrd));
        if (listing.status == 0) {
            kernel.in_initrd = module_names(listing.text);
        } else {
            kernel.unreadable = printable(trim(listing.text).substr(0, 200));
        }
    }
    return kernel;
}

/// A version that may stand in a command and in a path.
bool is_plain(std::string_view version) {
    return !version.empty() && version.size() < 100 && std::ranges::all_of(version, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view("._+~-").find(c) != std::string_view::npos;
    });
}

std::vector<std::string> kernel_versions(Guest& guest) {
    std::vector<std::string> versions;
    constexpr std::string_view prefix = "vmlinuz-";
    for (const std::string& name : guest.names_in("/boot")) {
        if (name.starts_with(prefix) && is_plain(name.substr(prefix.size()))) {
            versions.push_back(name.substr(prefix.size()));
        }
    }
    std::ranges::sort(versions, [](const auto& a, const auto& b) { return older_version(b, a); });
    return versions;
}

/// Takes the kernels without modules out of `versions`, unless none has any: "vmlinuz-5.10.bak" is
/// nothing that boots by itself, and update-initramfs fails for it.
std::vector<std::string> take_out_bare(Guest& guest, std::vector<std::string>& versions) {
    std::vector<std::string> whole;
    std::vector<std::string> bare;
    for (const std::string& version : versions) {
        const FileKind kind = guest.status("/lib/modules/" + version).kind;
        (kind == FileKind::directory ? whole : bare).push_back(version);
    }
    if (whole.empty()) {
        return {};
    }
    versions = std::move(whole);
    return bare;
}

InitramfsFacts initramfs_facts(Guest& guest) {
    const std::string directory = "/etc/initramfs-tools";
    InitramfsFacts facts{.update_initramfs = exists(guest, "/usr/sbin/update-initramfs"),
                         .dracut =
                             exists(guest, "/usr/bin/dracut") || exists(guest, "/usr/sbin/dracut"),
                         .modules_file = text_of(guest, directory + "/modules")};
    std::string configuration = text_of(guest, directory + "/initramfs.conf").value_or("");
    for (const std::string& name : guest.names_in(directory + "/conf.d")) {
        configuration += "\n" + text_of(guest, directory + "/conf.d/" + name).value_or("");
    }
    facts.mode = modules_setting(configuration);
    return facts;
}

BootFacts boot_facts(Guest& guest) {
    BootFacts facts{.boot_sector = guest.read_disk(0, 0, sector_bytes),
                    .core_image = text_of(guest, "/boot/grub/i386-pc/core.img", largest_core_image),
                    .grub_install = exists(guest, "/usr/sbin/grub-install") &&
                                    exists(guest, "/usr/lib/grub/i386-pc/kernel.img"),
                    .grub_config = exists(guest, "/boot/grub/grub.cfg"),
                    .grub_legacy =
                        exists(guest, "/boot/grub/stage2") || exists(guest, "/boot/grub/menu.lst"),
                    .lilo = exists(guest, "/etc/lilo.conf"),
                    .device_map = text_of(guest, "/boot/grub/device.map")};
    facts.efi = !facts.core_image &&
                (exists(guest, "/boot/grub/x86_64-efi") || exists(guest, "/boot/efi/EFI"));
    const std::optional<std::uint64_t> core = core_offset(facts.boot_sector);
    if (core && facts.core_image) {
        facts.embedded_core = guest.read_disk(0, *core, facts.core_image->size());
    }
    constexpr std::array<std::string_view, 3> texts{"/boot/grub/grub.cfg", "/etc/default/grub",
                                                    "/etc/fstab"};
    for (const std::string_view path : texts) {
        const std::string text = text_of(guest, std::string(path)).value_or("");
        for (std::string& line : device_name_lines(path, text)) {
            facts.device_names.push_back(std::move(line));
        }
        for (std::string& line : lost_device_lines(path, text)) {
            facts.lost_devices.push_back(std::move(line));
        }
    }
    return facts;
}

} // namespace

std::set<std::string> module_names(std::string_view listing) {
    std::set<std::string> names;
    for (std::string_view line : split_lines(listing)) {
        line = trim(line);
        line = line.substr(line.rfind('/') == std::string_view::npos ? 0 : line.rfind('/') + 1);
        const std::size_t suffix = line.rfind(".ko");
        if (suffix == std::string_view::npos || suffix == 0 ||
            (line.size() > suffix + 3 && line[suffix + 3] != '.')) {
            continue;
        }
        std::string name(line.substr(0, suffix));
        std::ranges::replace(name, '-', '_');
        names.insert(std::move(name));
    }
    return names;
}

std::string modules_setting(std::string_view configuration) {
    std::string setting = "most";
    for (std::string_view line : split_lines(configuration)) {
        line = trim(line);
        if (!line.starts_with("MODULES=")) {
            continue;
        }
        line = trim(line.substr(std::string_view("MODULES=").size()));
        if (line.size() >= 2 && (line.front() == '"' || line.front() == '\'')) {
            line = line.substr(1, line.find(line.front(), 1) - 1);
        }
        setting = line.substr(0, line.find_first_of(" \t#"));
    }
    return setting;
}

bool older_version(std::string_view a, std::string_view b) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size() && j < b.size()) {
        if (!digit(a[i]) || !digit(b[j])) {
            if (a[i] != b[j]) {
                return a[i] < b[j];
            }
            ++i;
            ++j;
            continue;
        }
        const auto number = [&digit](std::string_view text, std::size_t& at) {
            const std::size_t begin = std::min(text.find_first_not_of('0', at), text.size());
            at = begin;
            while (at < text.size() && digit(text[at])) {
                ++at;
            }
            return text.substr(begin, at - begin);
        };
        const std::string_view left = number(a, i);
        const std::string_view right = number(b, j);
        if (left != right) {
            return left.size() != right.size() ? left.size() < right.size() : left < right;
        }
    }
    return a.size() - i < b.size() - j;
}

std::vector<std::string> device_name_lines(std::string_view path, std::string_view text) {
    constexpr std::array<std::string_view, 6> nodes{"/dev/sd",  "/dev/hd",    "/dev/nvme",
                                                    "/dev/xvd", "/dev/cciss", "/dev/disk/by-path"};
    constexpr std::array<std::string_view, 2> arguments{"root=", "resume="};
    constexpr std::size_t most_lines = 20;
    std::vector<std::string> lines;
    std::size_t number = 0;
    for (const std::string_view line : split_lines(text)) {
        ++number;
        const std::string_view bare = trim(line);
        if (bare.starts_with('#') || lines.size() == most_lines) {
            continue;
        }
        const bool named = std::ranges::any_of(nodes, [&](std::string_view node) {
            return bare.starts_with(node) ||
                   std::ranges::any_of(arguments, [&](std::string_view argument) {
                       return bare.find(fmt::format("{}{}", argument, node)) !=
                              std::string_view::npos;
                   });
        });
        if (named) {
            lines.push_back(fmt::format("{}:{}: {}", path, number, printable(bare.substr(0, 200))));
        }
    }
    return lines;
}

std::vector<std::string> lost_device_lines(std::string_view path, std::string_view text) {
    constexpr std::array<std::string_view, 4> nodes{"/dev/nvme", "/dev/hd", "/dev/cciss",
                                                    "/dev/disk/by-path"};
    const auto is_lost = [&nodes](std::string_view device) {
        return std::ranges::any_of(
            nodes, [device](std::string_view node) { return device.starts_with(node); });
    };
    std::vector<std::string> lines;
    std::size_t number = 0;
    for (const std::string_view line : split_lines(text)) {
        ++number;
        const std::vector<std::string_view> fields = words_of(line);
        bool lost = false;
        bool last = false;
        if (path == "/etc/fstab") {
            lost = fields.size() >= 4 && is_lost(fields[0]) && fields[1].starts_with('/') &&
                   fields[3].find("noauto") == std::string_view::npos &&
                   fields[3].find("nofail") == std::string_view::npos;
        } else if (path == "/boot/grub/grub.cfg" && !fields.empty() &&
                   fields[0].starts_with("linux")) {
            last = true;
            lost = std::ranges::any_of(fields, [&is_lost](std::string_view field) {
                return field.starts_with("root=") && is_lost(field.substr(5));
            });
        }
        if (lost) {
            lines.push_back(
                fmt::format("{}:{}: {}", path, number, printable(trim(line).substr(0, 200))));
        }
        if (last) {
            break;
        }
    }
    return lines;
}

Facts gather_facts(Guest& guest, const std::optional<Inventory>& inventory) {
    Facts facts{.system = guest.system(),
                .files = read_files(guest, files_to_read()),
                .inventory = inventory,
                .rules_directory = guest.status("/etc/udev/rules.d").kind == FileKind::directory,
                .rules = rules_files(guest),
                .initramfs = initramfs_facts(guest),
                .boot = boot_facts(guest),
                .boot_free = guest.free_bytes("/boot"),
                .root_free = guest.free_bytes("/")};
    for (unsigned disk = 0; disk < guest.disk_count(); ++disk) {
        facts.disk_names.push_back(guest.disk_name(disk));
    }
    const bool can_list = exists(guest, "/usr/bin/lsinitramfs");
    std::vector<std::string> versions = kernel_versions(guest);
    facts.left_out = take_out_bare(guest, versions);
    versions.resize(std::min(versions.size(), most_kernels));
    for (const std::string& version : versions) {
        facts.kernels.push_back(kernel_facts(guest, version, can_list));
    }
    return facts;
}

} // namespace coldspare::fixup
