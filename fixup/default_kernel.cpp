#include "fixup/default_kernel.hpp"

#include "base/text.hpp"
#include "fixup/facts_kernels.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

namespace coldspare::fixup {

namespace {

/// An entry of grub.cfg: a submenu has children and no kernel.
struct Entry {
    std::string title;
    std::string id;
    std::string version;
    std::vector<Entry> children;
};

std::optional<std::size_t> number_in(std::string_view text) {
    std::size_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failed == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                     : std::nullopt;
}

/// The first quoted or bare word of `text`.
std::string first_word(std::string_view text) {
    text = trim(text);
    if (text.empty()) {
        return {};
    }
    if (text.front() == '\'' || text.front() == '"') {
        return std::string(text.substr(1, text.find(text.front(), 1) - 1));
    }
    return std::string(text.substr(0, text.find_first_of(" \t")));
}

std::string identifier_of(std::string_view line) {
    for (const std::string_view option : {"menuentry_id_option", "--id"}) {
        const std::size_t at = line.find(option);
        if (at != std::string_view::npos) {
            const std::string_view rest = line.substr(at + option.size());
            return first_word(rest.starts_with('=') ? rest.substr(1) : rest);
        }
    }
    return {};
}

std::string kernel_in_command(std::string_view line) {
    constexpr std::array<std::string_view, 5> commands{"linux", "linux16", "linuxefi", "kernel",
                                                       "module"};
    const std::string_view command = line.substr(0, line.find_first_of(" \t"));
    if (std::ranges::find(commands, command) == commands.end()) {
        return {};
    }
    std::string_view rest = line.substr(command.size());
    while (!(rest = trim(rest)).empty()) { // options of GRUB 0.97 may stand before the path
        const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
        if (std::string version = kernel_version_in(word); !version.empty()) {
            return version;
        }
        if (!word.starts_with("--")) {
            return {};
        }
        rest.remove_prefix(word.size());
    }
    return {};
}

std::vector<Entry> entries_of(std::string_view config) {
    constexpr std::size_t deepest = 8;
    Entry root;
    std::vector<Entry*> open{&root}; // the menus that the line stands in
    std::vector<bool> braces;        // of each open brace: whether it is an entry's
    for (std::string_view line : split_lines(config)) {
        line = trim(line);
        const bool menu = line.starts_with("menuentry ") || line.starts_with("submenu ");
        if (menu && line.ends_with('{') && open.size() < deepest) {
            Entry& parent = *open.back();
            parent.children.push_back(
                {.title = first_word(line.substr(line.find(' '))), .id = identifier_of(line)});
            open.push_back(&parent.children.back());
            braces.push_back(true);
        } else if (line.ends_with('{')) {
            braces.push_back(false);
        } else if (line == "}" && !braces.empty()) {
            if (braces.back()) {
                open.pop_back();
            }
            braces.pop_back();
        } else if (open.size() > 1 && open.back()->version.empty()) {
            open.back()->version = kernel_in_command(line);
        }
    }
    return root.children;
}

const Entry* entry_named(const std::vector<Entry>& entries, std::string_view name) {
    if (const std::optional<std::size_t> index = number_in(name)) {
        return *index < entries.size() ? &entries[*index] : nullptr;
    }
    for (const Entry& entry : entries) {
        if (entry.title == name || entry.id == name) {
            return &entry;
        }
    }
    for (const Entry& entry : entries) { // a saved name may lack the submenu's
        if (const Entry* inner = entry_named(entry.children, name)) {
            return inner;
        }
    }
    return nullptr;
}

/// "1>2", "submenu>entry", "entry".
std::string version_of_choice(const std::vector<Entry>& entries, std::string_view choice) {
    const std::vector<Entry>* level = &entries;
    const Entry* found = nullptr;
    while (!choice.empty()) {
        const std::size_t end = std::min(choice.find('>'), choice.size());
        found = entry_named(*level, choice.substr(0, end));
        if (found == nullptr) {
            return {};
        }
        level = &found->children;
        choice.remove_prefix(std::min(end + 1, choice.size()));
    }
    while (found != nullptr && found->version.empty() && !found->children.empty()) {
        found = &found->children.front();
    }
    return found == nullptr ? std::string() : found->version;
}

std::string variable(std::string_view text, std::string_view name) {
    for (const std::string_view line : split_lines(text)) {
        if (line.starts_with(name) && line.substr(name.size()).starts_with('=')) {
            return std::string(trim(line.substr(name.size() + 1)));
        }
    }
    return {};
}

/// What "set default=" says when no entry is meant for the next start alone.
std::string choice_of(const BootMenu& menu) {
    std::string choice = "0";
    for (std::string_view line : split_lines(menu.grub_config)) {
        line = trim(line);
        constexpr std::string_view command = "set default=";
        if (line.starts_with(command) && line.find("next_entry") == std::string_view::npos &&
            line.find("prev_saved_entry") == std::string_view::npos) {
            choice = first_word(line.substr(command.size()));
        }
    }
    if (choice.find("saved_entry") != std::string::npos) {
        choice = variable(menu.grub_environment, "saved_entry");
    }
    return choice.empty() ? "0" : choice;
}

std::string version_of_entry(std::string_view entry) {
    const std::string version = kernel_version_in(entry_field(entry, "linux"));
    return version.empty() ? entry_field(entry, "version") : version;
}

std::string default_of_entries(const BootMenu& menu) {
    const std::string saved = variable(menu.grub_environment, "saved_entry");
    const auto found = menu.entries.find(saved);
    if (found != menu.entries.end()) {
        return version_of_entry(found->second);
    }
    std::vector<std::string> versions;
    for (const auto& [name, text] : menu.entries) {
        if (name.find("-0-rescue") == std::string::npos) {
            versions.push_back(version_of_entry(text));
        }
    }
    std::ranges::sort(versions, [](const auto& a, const auto& b) { return older_version(b, a); });
    const std::size_t index = number_in(saved).value_or(0);
    return index < versions.size() ? versions[index] : std::string();
}

std::string default_of_legacy(const BootMenu& menu) {
    std::vector<std::string> versions;
    std::string choice = "0";
    for (std::string_view line : split_lines(menu.legacy_menu)) {
        line = trim(line);
        if (line.starts_with("title")) {
            versions.emplace_back();
        } else if (line.starts_with("default") && versions.empty()) {
            choice = trim(line.substr(7));
            choice.erase(0, choice.find_first_not_of("= \t"));
        } else if (!versions.empty() && versions.back().empty()) {
            versions.back() = kernel_in_command(line);
        }
    }
    if (choice == "saved") {
        const std::vector<std::string_view> lines = split_lines(menu.legacy_saved);
        choice = lines.empty() ? "0" : std::string(trim(lines.front()));
    }
    const std::size_t index = number_in(choice).value_or(0);
    return index < versions.size() ? versions[index] : std::string();
}

} // namespace

std::string kernel_version_in(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
    for (const std::string_view prefix : {"vmlinuz-", "Image-"}) {
        if (name.starts_with(prefix)) {
            return std::string(name.substr(prefix.size()));
        }
    }
    if (name == "linux" && slash != std::string_view::npos && slash > 0) {
        const std::string_view directory = path.substr(0, slash);
        return std::string(directory.substr(directory.rfind('/') + 1));
    }
    return {};
}

std::string entry_field(std::string_view entry, std::string_view key) {
    for (std::string_view line : split_lines(entry)) {
        line = trim(line);
        if (line.starts_with(key) && line.size() > key.size() &&
            (line[key.size()] == ' ' || line[key.size()] == '\t')) {
            return std::string(trim(line.substr(key.size())));
        }
    }
    return {};
}

std::string default_kernel(const BootMenu& menu) {
    if (menu.grub_config.find("blscfg") != std::string::npos && !menu.entries.empty()) {
        return default_of_entries(menu);
    }
    std::string version = version_of_choice(entries_of(menu.grub_config), choice_of(menu));
    if (version.empty() && !menu.legacy_menu.empty()) {
        version = default_of_legacy(menu);
    }
    return version.empty() && !menu.entries.empty() ? default_of_entries(menu) : version;
}

} // namespace coldspare::fixup
