// What the lists of kernels, modules and settings say: texts in, values out.
#include "fixup/facts_kernels.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace coldspare::fixup {

std::string module_name(std::string_view path) {
    path = trim(path);
    path.remove_prefix(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
    const std::size_t suffix = path.rfind(".ko");
    if (suffix == std::string_view::npos || suffix == 0 ||
        (path.size() > suffix + 3 && path[suffix + 3] != '.')) {
        return {};
    }
    std::string name(path.substr(0, suffix));
    std::ranges::replace(name, '-', '_');
    return name;
}

std::set<std::string> module_names(std::string_view listing) {
    std::set<std::string> names;
    for (const std::string_view line : split_lines(listing)) {
        if (std::string name = module_name(line); !name.empty()) {
            names.insert(std::move(name));
        }
    }
    return names;
}

std::map<std::string, KernelModule> parse_modules_dep(std::string_view text,
                                                      std::string_view version) {
    const std::string directory = fmt::format("/lib/modules/{}/", version);
    std::map<std::string, KernelModule> modules;
    for (const std::string_view line : split_lines(text)) {
        const std::size_t colon = line.find(':');
        std::string_view path = trim(line.substr(0, colon));
        std::string name = module_name(path);
        if (name.empty()) {
            continue;
        }
        if (path.starts_with(directory)) {
            path.remove_prefix(directory.size());
        }
        KernelModule module{.path = std::string(path)};
        std::string_view rest = colon == std::string_view::npos ? "" : line.substr(colon + 1);
        while (!(rest = trim(rest)).empty()) {
            const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
            module.needs.push_back(module_name(word));
            rest.remove_prefix(word.size());
        }
        modules.insert_or_assign(std::move(name), std::move(module));
    }
    return modules;
}

std::set<std::string> builtin_by_config(std::string_view config) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 15> options{
        {{"CONFIG_VIRTIO_PCI=y", "virtio_pci"},
         {"CONFIG_VIRTIO_BLK=y", "virtio_blk"},
         {"CONFIG_SCSI_VIRTIO=y", "virtio_scsi"},
         {"CONFIG_VIRTIO_NET=y", "virtio_net"},
         {"CONFIG_BLK_DEV_SD=y", "sd_mod"},
         {"CONFIG_BLK_DEV_IDEDISK=y", "ide_disk"},
         {"CONFIG_IDE_GD=y", "ide_disk"},
         {"CONFIG_BLK_DEV_PIIX=y", "piix"},
         {"CONFIG_ATA_PIIX=y", "ata_piix"},
         {"CONFIG_SCSI_ATA_PIIX=y", "ata_piix"},
         {"CONFIG_SATA_AHCI=y", "ahci"},
         {"CONFIG_SCSI_SYM53C8XX_2=y", "sym53c8xx"},
         {"CONFIG_FUSION_SAS=y", "mptsas"},
         {"CONFIG_E1000=y", "e1000"},
         {"CONFIG_8139CP=y", "8139cp"}}};
    std::set<std::string> names;
    for (const std::string_view line : split_lines(config)) {
        const auto* const found = std::ranges::find(
            options, trim(line), &std::pair<std::string_view, std::string_view>::first);
        if (found != options.end()) {
            names.insert(std::string(found->second));
        }
    }
    return names;
}

std::set<std::string> with_dependencies(const KernelFacts& kernel,
                                        const std::set<std::string>& names) {
    std::set<std::string> all;
    std::vector<std::string> open(names.begin(), names.end());
    while (!open.empty()) {
        const std::string name = std::move(open.back());
        open.pop_back();
        const auto found = kernel.modules.find(name);
        if (found != kernel.modules.end() && all.insert(name).second) {
            open.insert(open.end(), found->second.needs.begin(), found->second.needs.end());
        }
    }
    return all;
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

} // namespace coldspare::fixup
