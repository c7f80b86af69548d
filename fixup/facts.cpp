#include "fixup/facts.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "fixup/fixes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_text = std::uint64_t{1} << 20;
constexpr std::uint64_t largest_module_list = std::uint64_t{16} << 20;
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

Facts gather_facts(Guest& guest, const std::optional<Inventory>& inventory) {
    const GuestSystem system = guest.system();
    Facts facts{.system = system,
                .files = read_files(guest, files_to_read()),
                .inventory = inventory,
                .rules_directory = guest.status("/etc/udev/rules.d").kind == FileKind::directory,
                .initramfs = initramfs_facts(guest),
                .boot = gather_boot_facts(guest, system),
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
