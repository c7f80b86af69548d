#include "tests/support/initramfs_programs.hpp"

#include "base/text.hpp"
#include "fixup/cpio.hpp"
#include "fixup/facts_kernels.hpp"

#include <fmt/format.h>

#include <map>
#include <vector>

namespace coldspare::fixup {

namespace {

using Modules = std::map<std::string, KernelModule>;

std::string text_of(MemoryGuest& guest, const std::string& path) {
    return guest.status(path).kind == FileKind::file ? guest.read(path, 1 << 20) : std::string();
}

Modules modules_of(MemoryGuest& guest, const std::string& version) {
    return parse_modules_dep(text_of(guest, fmt::format("/lib/modules/{}/modules.dep", version)),
                             version);
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    bool quoted = false;
    bool begun = false;
    for (const char c : text) {
        if (c == '\'') {
            quoted = !quoted;
            begun = true;
        } else if (!quoted && (c == ' ' || c == '\n' || c == '\t')) {
            if (begun) {
                words.push_back(word);
            }
            word.clear();
            begun = false;
        } else {
            word += c;
            begun = true;
        }
    }
    if (begun) {
        words.push_back(word);
    }
    return words;
}

/// The text between the quotes behind `key`, of every such line.
std::string quoted_behind(const std::string& text, const std::string& key) {
    std::string all;
    for (const std::string_view line : split_lines(text)) {
        if (line.starts_with(key + "\"")) {
            const std::string_view rest = line.substr(key.size() + 1);
            all += " " + std::string(rest.substr(0, rest.find('"')));
        }
    }
    return all;
}

std::set<std::string> everything(const Modules& modules) {
    std::set<std::string> names;
    for (const auto& [name, module] : modules) {
        names.insert(name);
    }
    return names;
}

CommandOutput build(MemoryGuest& guest, const std::string& image, const std::string& version,
                    const std::set<std::string>& modules) {
    const Modules known = modules_of(guest, version);
    for (const std::string& name : modules) {
        if (!known.contains(name)) {
            return {1, fmt::format("module {} not found for kernel {}\n", name, version)};
        }
    }
    guest.write(image, merged_image(guest, version, modules), 0644);
    return {0, "built\n"};
}

CommandOutput update_initramfs(MemoryGuest& guest, const std::vector<std::string>& words) {
    const std::string directory = "/etc/initramfs-tools/";
    std::string settings = text_of(guest, directory + "initramfs.conf");
    for (const std::string& name : guest.names_in(directory + "conf.d")) {
        settings += "\n" + text_of(guest, directory + "conf.d/" + name);
    }
    const std::string& version = words.back();
    std::set<std::string> modules;
    if (modules_setting(settings) == "most") {
        modules = everything(modules_of(guest, version));
    }
    const std::string lines = text_of(guest, directory + "modules");
    for (const std::string_view line : split_lines(lines)) {
        if (!line.empty() && !line.starts_with('#')) {
            modules.insert(std::string(line));
        }
    }
    for (const std::string& name : guest.names_in(directory + "hooks")) {
        const std::string hook = text_of(guest, directory + "hooks/" + name);
        const std::size_t at = hook.find("manual_add_modules ");
        if ((guest.status(directory + "hooks/" + name).mode & 0111) != 0 && at != hook.npos) {
            for (const std::string& word : words_of(hook.substr(at + 19))) {
                modules.insert(word);
            }
        }
    }
    CommandOutput output = build(guest, "/boot/initrd.img-" + version, version, modules);
    if (output.status == 0) {
        output.text = "update-initramfs: Generating\n";
    }
    return output;
}

CommandOutput dracut(MemoryGuest& guest, const std::vector<std::string>& words) {
    std::string settings;
    for (const std::string& name : guest.names_in("/etc/dracut.conf.d")) {
        settings += text_of(guest, "/etc/dracut.conf.d/" + name) + "\n";
    }
    const std::string& version = words.back();
    const std::string& image = words[words.size() - 2];
    std::set<std::string> modules;
    if (quoted_behind(settings, "hostonly=").find("no") != std::string::npos) {
        modules = everything(modules_of(guest, version));
    }
    for (const std::string& word : words_of(quoted_behind(settings, "add_drivers+="))) {
        modules.insert(word);
    }
    bool force = false;
    for (std::size_t i = 1; i + 2 < words.size(); ++i) {
        force = force || words[i] == "--force";
        if (words[i] == "--add-drivers") {
            for (const std::string& word : words_of(words[i + 1])) {
                modules.insert(word);
            }
        }
    }
    if (!force && guest.status(image).kind != FileKind::absent) {
        return {1, "Will not override existing initramfs without --force\n"};
    }
    return build(guest, image, version, modules);
}

CommandOutput suse_mkinitrd(MemoryGuest& guest, const std::vector<std::string>& words) {
    std::string kernel;
    std::string image;
    std::string list = quoted_behind(text_of(guest, "/etc/sysconfig/kernel"), "INITRD_MODULES=");
    for (std::size_t i = 1; i + 1 < words.size(); i += 2) {
        (words[i] == "-k"   ? kernel
         : words[i] == "-i" ? image
                            : list) = words[i] == "-d" ? list : words[i + 1];
    }
    if (!kernel.starts_with("vmlinuz-") || guest.status("/boot/" + kernel).kind != FileKind::file) {
        return {1, "no such kernel\n"};
    }
    std::set<std::string> modules;
    for (const std::string& word : words_of(list)) {
        modules.insert(module_name(word + ".ko"));
    }
    return build(guest, "/boot/" + image, kernel.substr(8), modules);
}

CommandOutput redhat_mkinitrd(MemoryGuest& guest, const std::vector<std::string>& words) {
    const std::string& version = words.back();
    const std::string& image = words[words.size() - 2];
    std::set<std::string> modules;
    std::set<std::string> wanted;
    bool force = false;
    for (const std::string& word : words) {
        force = force || word == "-f";
        if (word.starts_with("--with=")) {
            wanted.insert(word.substr(7));
        }
    }
    for (const auto& [name, module] : modules_of(guest, version)) {
        const std::string file = module.path.substr(module.path.rfind('/') + 1);
        if (wanted.erase(file.substr(0, file.rfind(".ko"))) > 0) {
            modules.insert(name);
        }
    }
    if (!wanted.empty()) {
        return {1, fmt::format("No module {} found for kernel {}, aborting.\n", *wanted.begin(),
                               version)};
    }
    if (!force && guest.status(image).kind != FileKind::absent) {
        return {1, image + " already exists.\n"};
    }
    return build(guest, image, version, modules);
}

} // namespace

std::string merged_image(MemoryGuest& guest, const std::string& version,
                         const std::set<std::string>& modules) {
    const std::string directory = "usr/lib/modules/" + version;
    const Modules known = modules_of(guest, version);
    std::vector<CpioMember> members{{.name = "lib", .mode = 0120777, .content = "usr/lib"}};
    for (const std::string& path :
         {std::string("usr"), std::string("usr/lib"), std::string("usr/lib/modules"), directory}) {
        members.push_back({.name = path, .mode = 0040755});
    }
    members.push_back({.name = directory + "/modules.dep", .mode = 0100644});
    KernelFacts kernel{.modules = known};
    for (const std::string& name : with_dependencies(kernel, modules)) {
        members.push_back(
            {.name = fmt::format("{}/{}", directory, known.at(name).path), .mode = 0100644});
    }
    return write_cpio(members);
}

CommandOutput run_initramfs_program(MemoryGuest& guest, const std::string& line) {
    std::vector<std::string> words = words_of(line);
    const bool told = words.front() == "linux32" || words.front() == "setarch";
    if (told) {
        words.erase(words.begin(), words.begin() + (words.front() == "setarch" ? 2 : 1));
    }
    if (guest.identity.arch == "i386" && !told) {
        return {1, "this kernel has 64 bits\n"};
    }
    if (!guest.identity.runs_programs) {
        return {126, "Exec format error\n"};
    }
    if (words.front() == "update-initramfs") {
        return update_initramfs(guest, words);
    }
    if (words.front() == "dracut") {
        return dracut(guest, words);
    }
    if (words.front() == "mkinitrd") {
        return guest.status("/etc/sysconfig/kernel").kind == FileKind::file &&
                       guest.identity.distro == "sles"
                   ? suse_mkinitrd(guest, words)
                   : redhat_mkinitrd(guest, words);
    }
    return {127, "sh: not found\n"};
}

} // namespace coldspare::fixup
