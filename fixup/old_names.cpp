#include "fixup/old_names.hpp"

#include "base/text.hpp"
#include "fixup/kernel_arguments.hpp"

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_aliases = 1000;

/// The name of the root file system: in fstab, or there before it was changed, or root=.
std::string root_name(const FileTree& files) {
    const std::string* fstab = files.text("/etc/fstab");
    const std::set<std::string> aliases = multipath_aliases(files);
    if (fstab != nullptr) {
        for (const TextLine& line : text_lines(*fstab)) {
            if (line.piece.text.starts_with(root_was)) {
                return std::string(trim(line.piece.text.substr(root_was.size())));
            }
        }
        for (const TableLine& line : table_lines(*fstab)) {
            if (line.fields.size() > 1 && line.fields[1].text == "/" &&
                parse_disk_name(line.fields[0].text, aliases)) {
                return std::string(line.fields[0].text);
            }
        }
    }
    for (const ArgumentFile& file : argument_files(files)) {
        if (file.leftover) {
            continue;
        }
        for (const KernelArgument& argument :
             kernel_arguments(file.syntax, *files.text(file.path))) {
            if (argument.by_default && argument.name() == "root" &&
                parse_disk_name(argument.value().text, aliases)) {
                return std::string(argument.value().text);
            }
        }
    }
    return {};
}

} // namespace

std::vector<TableLine> table_lines(std::string_view text) {
    std::vector<TableLine> lines;
    for (const TextLine& line : text_lines(text)) {
        std::vector<Piece> fields = words_in(line.piece);
        if (!fields.empty() && !fields[0].text.starts_with('#')) {
            lines.push_back({line.number, std::move(fields)});
        }
    }
    return lines;
}

bool has_option(std::string_view options, std::string_view option) {
    const std::vector<Piece> words = words_in({0, options}, ",");
    return std::ranges::any_of(words, [option](const Piece& word) {
        return word.text == option || (option.ends_with('=') && word.text.starts_with(option));
    });
}

bool is_used_at_boot(const TableLine& line) {
    if (line.fields.size() < 3) {
        return false;
    }
    const std::string_view options = line.fields.size() > 3 ? line.fields[3].text : "";
    return !has_option(options, "noauto") && line.fields[2].text != "iso9660" &&
           line.fields[2].text != "ignore" &&
           (line.fields[1].text.starts_with('/') || line.fields[2].text == "swap");
}

std::vector<std::string> boot_device_names(const FileTree& files) {
    std::vector<std::string> names;
    for (const TableLine& line : table_lines(files.text_or_empty("/etc/fstab"))) {
        if (is_used_at_boot(line)) {
            names.emplace_back(line.fields[0].text);
        }
    }
    for (const TableLine& line : table_lines(files.text_or_empty("/etc/crypttab"))) {
        if (line.fields.size() > 1) {
            names.emplace_back(line.fields[1].text);
        }
    }
    for (const ArgumentFile& file : argument_files(files)) {
        if (file.leftover) {
            continue;
        }
        for (const KernelArgument& argument :
             kernel_arguments(file.syntax, *files.text(file.path))) {
            const std::optional<Piece> device = device_in(argument);
            if (device && argument.by_default) {
                names.emplace_back(device->text);
            }
        }
    }
    return names;
}

DeviceNames device_names(const GuestSystem& system, const FileTree& files,
                         const std::optional<Inventory>& inventory) {
    return {system, boot_device_names(files), root_name(files), multipath_aliases(files),
            inventory};
}

DeviceNames old_device_names(const Facts& facts) {
    return device_names(facts.system, facts.files, facts.inventory);
}

std::set<std::string> multipath_aliases(const FileTree& files) {
    std::set<std::string> aliases;
    for (const std::string_view path : {"/etc/multipath/bindings", "/var/lib/multipath/bindings"}) {
        for (const TableLine& line : table_lines(files.text_or_empty(path))) {
            if (aliases.size() < most_aliases) {
                aliases.emplace(line.fields[0].text);
            }
        }
    }
    for (const TableLine& line : table_lines(files.text_or_empty("/etc/multipath.conf"))) {
        if (line.fields.size() == 2 && line.fields[0].text == "alias" &&
            aliases.size() < most_aliases) {
            const std::vector<Piece> words = words_in(line.fields[1], "\"");
            aliases.emplace(words.empty() ? "" : words[0].text);
        }
    }
    aliases.erase("");
    return aliases;
}

bool insists_on_sd(const GuestSystem& system, const FileTree& files) {
    const std::size_t disks = std::max<std::size_t>(1, system.tables.size());
    return std::ranges::any_of(boot_device_names(files), [disks](const std::string& name) {
        const std::optional<DiskName> parsed = parse_disk_name(name);
        return parsed && parsed->family == DiskFamily::sd && parsed->number &&
               *parsed->number < disks;
    });
}

} // namespace coldspare::fixup
