// The system that runs: its kernel, its programs, what it starts. All from files; a symbolic link
// is followed only as far as its own name is wanted, because a tree may be mounted elsewhere.
#include "base/text.hpp"
#include "clone/inventory_parts.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

namespace coldspare::clone::inventory {

namespace fs = std::filesystem;

namespace {

bool is_there(const fs::path& path) {
    std::error_code none;
    return fs::exists(fs::symlink_status(path, none));
}

/// The value of KEY=value or KEY="value" in a file of such lines.
std::string assigned(std::string_view text, std::string_view key) {
    for (std::string_view line : split_lines(text)) {
        line = trim(line);
        if (line.starts_with(key) && line.substr(key.size()).starts_with('=')) {
            std::string_view value = trim(line.substr(key.size() + 1));
            if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                value.back() == value.front()) {
                value = value.substr(1, value.size() - 2);
            }
            return printable(value);
        }
    }
    return {};
}

std::string first_line(const fs::path& file) {
    const std::string text = content_of(file);
    return printable(trim(std::string_view(text).substr(0, text.find('\n'))));
}

std::string system_name(const fs::path& root) {
    for (const char* file : {"etc/os-release", "usr/lib/os-release"}) {
        if (std::string name = assigned(content_of(root / file), "PRETTY_NAME"); !name.empty()) {
            return name;
        }
    }
    for (const char* file : {"etc/redhat-release", "etc/SuSE-release"}) {
        if (std::string name = first_line(root / file); !name.empty()) {
            return name;
        }
    }
    const std::string debian = first_line(root / "etc/debian_version");
    return debian.empty() ? debian : "Debian " + debian;
}

std::vector<std::string> loaded_modules(const fs::path& proc) {
    std::vector<std::string> modules;
    const std::string text = content_of(proc / "modules", std::size_t{1} << 20);
    for (const std::string_view line : split_lines(text)) {
        if (const auto words = words_of(line); !words.empty()) {
            modules.push_back(printable(words.front()));
        }
    }
    std::ranges::sort(modules);
    return modules;
}

/// The value of a line "KEY : VALUE" in /proc/cpuinfo or /proc/meminfo, the first one.
std::string told_by(const fs::path& file, std::string_view key) {
    const std::string text = content_of(file, std::size_t{4} << 20); // of hundreds of processors
    for (const std::string_view line : split_lines(text)) {
        const std::size_t colon = line.find(':');
        if (colon != std::string_view::npos && trim(line.substr(0, colon)) == key) {
            return printable(trim(line.substr(colon + 1)));
        }
    }
    return {};
}

/// "24684092 kB".
std::uint64_t memory_of(const fs::path& proc) {
    const std::string text = told_by(proc / "meminfo", "MemTotal");
    std::uint64_t kib = 0;
    std::from_chars(text.data(), text.data() + text.size(), kib);
    return kib <= UINT64_MAX / 1024 ? kib * 1024 : 0;
}

std::string cpu_model(const fs::path& proc) {
    const std::string model = told_by(proc / "cpuinfo", "model name");
    return model.empty() ? told_by(proc / "cpuinfo", "cpu") : model; // x86; POWER
}

std::string initramfs_tool(const fs::path& root) {
    struct Sign {
        const char* file;
        const char* tool;
    };
    // In this order: SUSE has a mkinitrd that calls dracut, and dracut may bring an
    // update-initramfs of its own.
    constexpr std::array<Sign, 8> signs{{{"usr/sbin/mkinitramfs", "update-initramfs"},
                                         {"usr/bin/dracut", "dracut"},
                                         {"usr/sbin/dracut", "dracut"},
                                         {"sbin/dracut", "dracut"},
                                         {"usr/sbin/update-initramfs", "update-initramfs"},
                                         {"sbin/mkinitrd", "mkinitrd"},
                                         {"usr/sbin/mkinitrd", "mkinitrd"},
                                         {"usr/bin/mkinitrd", "mkinitrd"}}};
    const auto* const found =
        std::ranges::find_if(signs, [&](const Sign& sign) { return is_there(root / sign.file); });
    return found == signs.end() ? "" : found->tool;
}

/// The digits and dots at the beginning.
std::string version_at(std::string_view text) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
    std::string version(text.substr(0, end));
    while (version.ends_with('.')) {
        version.pop_back();
    }
    return version;
}

/// Every libc says of itself "GNU C Library (...) stable release version 2.36." when it is run.
std::string glibc_version(const fs::path& root, const std::string& architecture) {
    constexpr std::string_view says = "stable release version ";
    constexpr std::size_t longest = std::size_t{16} << 20;
    const std::string multiarch = (architecture == "i686" ? "i386" : architecture) + "-linux-gnu";
    for (const fs::path& directory : {fs::path("lib") / multiarch, fs::path("usr/lib") / multiarch,
                                      fs::path("lib64"), fs::path("lib")}) {
        const std::string library = content_of(root / directory / "libc.so.6", longest);
        if (const std::size_t at = library.find(says); at != std::string::npos) {
            return version_at(std::string_view(library).substr(at + says.size()));
        }
    }
    return {};
}

/// In the name of its own library since version 231: libsystemd-shared-252.so.
std::string systemd_version(const fs::path& root) {
    constexpr std::string_view prefix = "libsystemd-shared-";
    for (const char* directory : {"usr/lib/systemd", "lib/systemd"}) {
        for (const std::string& name : names_in(root / directory)) {
            if (name.starts_with(prefix)) {
                return version_at(std::string_view(name).substr(prefix.size()));
            }
        }
    }
    return {};
}

void add_unique(std::vector<std::string>& list, std::string name) {
    if (std::ranges::find(list, name) == list.end()) {
        list.push_back(std::move(name));
    }
}

/// Units that targets want, and scripts of SysV ("S20apache2" in a run level).
std::vector<std::string> enabled_services(const fs::path& etc) {
    std::vector<std::string> services;
    for (const std::string& directory : names_in(etc / "systemd/system")) {
        if (directory.ends_with(".wants") || directory.ends_with(".requires")) {
            for (const std::string& unit : names_in(etc / "systemd/system" / directory)) {
                add_unique(services, printable(unit));
            }
        }
    }
    for (const char* place : {"", "rc.d", "init.d"}) { // Debian, Red Hat, SUSE
        for (const char* level : {"rc2.d", "rc3.d", "rc4.d", "rc5.d"}) {
            for (const std::string& script : names_in(etc / place / level)) {
                const bool starts = script.size() > 3 && script[0] == 'S' &&
                                    std::isdigit(static_cast<unsigned char>(script[1])) != 0 &&
                                    std::isdigit(static_cast<unsigned char>(script[2])) != 0;
                if (starts) {
                    add_unique(services, printable(std::string_view(script).substr(3)));
                }
            }
        }
    }
    std::ranges::sort(services);
    return services;
}

/// What has processes has a group of them.
std::vector<std::string> active_services(const fs::path& sys) {
    std::vector<std::string> services;
    for (const char* tree : {"fs/cgroup/system.slice", "fs/cgroup/systemd/system.slice",
                             "fs/cgroup/unified/system.slice"}) {
        for (const std::string& name : names_in(sys / tree)) {
            if (name.ends_with(".service")) {
                add_unique(services, printable(name));
            }
        }
    }
    return services;
}

std::string selinux_mode(const fs::path& sys) {
    const std::string enforce = sysfs::attribute(sys / "fs/selinux/enforce");
    return enforce == "1" ? "enforcing" : enforce == "0" ? "permissive" : "disabled";
}

/// The volumes whose key the TPM has, as far as their options tell.
std::vector<std::string> bound_volumes(std::string_view crypttab) {
    std::vector<std::string> volumes;
    for (const std::string_view line : split_lines(crypttab)) {
        const std::vector<std::string_view> words = words_of(line);
        const bool is_volume = words.size() >= 2 && !words[0].starts_with('#');
        if (is_volume && (line.find("tpm2-") != std::string_view::npos ||
                          line.find("clevis") != std::string_view::npos)) {
            volumes.push_back(printable(words[0]));
        }
    }
    return volumes;
}

bool ends_with_word(std::string_view key, std::string_view word) {
    const std::size_t from = key.size() - std::min(key.size(), word.size());
    return std::ranges::equal(key.substr(from), word, {}, [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
}

/// A part of a value.
struct Secret {
    std::size_t at = 0;
    std::size_t length = 0;
};

/// What is secret in KEY=VALUE. mount.cifs(8) has "password2=" and "user=NAME%PASSWORD",
/// dracut.cmdline(7) "netroot=iscsi:NAME:PASSWORD@HOST...".
std::optional<Secret> secret_in(std::string_view key, std::string_view value) {
    constexpr std::array<std::string_view, 6> secrets{"password", "passwd", "passphrase",
                                                      "pass",     "secret", "credential"};
    constexpr std::array<std::string_view, 2> users{"user", "username"};
    constexpr std::string_view iscsi = "iscsi:";
    while (!key.empty() && key.back() >= '0' && key.back() <= '9') {
        key.remove_suffix(1);
    }
    const auto ends_with_any = [key](const auto& words) {
        return std::ranges::any_of(
            words, [key](std::string_view word) { return ends_with_word(key, word); });
    };
    if (ends_with_any(secrets)) {
        return Secret{.at = 0, .length = value.size()};
    }
    if (const std::size_t percent = value.find('%');
        percent != std::string_view::npos && ends_with_any(users)) {
        return Secret{.at = percent + 1, .length = value.size() - percent - 1};
    }
    if (const std::size_t at = value.rfind('@');
        value.starts_with(iscsi) && at != std::string_view::npos) {
        return Secret{.at = iscsi.size(), .length = at - iscsi.size()};
    }
    return std::nullopt;
}

} // namespace

unsigned processors_in(std::string_view list) {
    constexpr unsigned most = 1U << 16;
    unsigned count = 0;
    while (!list.empty()) {
        const std::string_view part = list.substr(0, list.find(','));
        list.remove_prefix(std::min(part.size() + 1, list.size()));
        const char* const end = part.data() + part.size();
        unsigned first = 0;
        const auto [dash, failed] = std::from_chars(part.data(), end, first);
        unsigned last = first;
        if (dash != end && *dash == '-') {
            std::from_chars(dash + 1, end, last);
        }
        if (failed == std::errc() && last >= first && last < most) {
            count += last - first + 1;
        }
    }
    return std::min(count, most);
}

std::string without_passwords(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) {
            return result += text;
        }
        result += text.substr(0, equals + 1);
        const std::string_view key = std::string_view(result).substr(0, result.size() - 1);
        std::string_view word = text.substr(equals + 1);
        word = word.substr(0, word.find_first_of(", \t\r\n"));
        text.remove_prefix(equals + 1);
        if (const std::optional<Secret> secret = secret_in(key, word)) {
            text.remove_prefix(secret->at + secret->length);
            result += word.substr(0, secret->at);
            result += "***";
        }
    }
    return result;
}

void add_system(const MachineSources& machine, Inventory& all) {
    const sysfs::Roots& kernel = machine.kernel;
    const fs::path etc = machine.root / "etc";
    all.hostname = sysfs::attribute(kernel.proc / "sys/kernel/hostname");
    all.system = system_name(machine.root);
    all.architecture = machine.architecture;
    all.cpus = processors_in(sysfs::attribute(kernel.sys / "devices/system/cpu/online"));
    all.cpu_model = cpu_model(kernel.proc);
    all.memory = memory_of(kernel.proc);
    all.kernel = sysfs::attribute(kernel.proc / "sys/kernel/osrelease");
    all.cmdline = printable(trim(without_passwords(content_of(kernel.proc / "cmdline"))));
    all.modules = loaded_modules(kernel.proc);
    all.fstab = without_passwords(content_of(etc / "fstab"));
    all.crypttab = without_passwords(content_of(etc / "crypttab"));
    all.initramfs_tool = initramfs_tool(machine.root);
    all.glibc_version = glibc_version(machine.root, machine.architecture);
    all.systemd_version = systemd_version(machine.root);
    all.services_enabled = enabled_services(etc);
    all.services_active = active_services(kernel.sys);
    all.selinux = selinux_mode(kernel.sys);
    all.selinux_configured = assigned(content_of(etc / "selinux/config"), "SELINUX");
    all.tpm = is_there(kernel.sys / "class/tpm/tpm0");
    all.tpm_bindings = bound_volumes(all.crypttab);
}

} // namespace coldspare::clone::inventory
