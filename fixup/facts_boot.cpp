#include "fixup/facts_boot.hpp"

#include "base/text.hpp"
#include "fixup/facts_esp.hpp"
#include "fixup/grub_image.hpp"
#include "fixup/grub_legacy_image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_text = std::uint64_t{1} << 20;
constexpr std::uint64_t largest_core_image = std::uint64_t{8} << 20;
constexpr std::uint64_t largest_stage = std::uint64_t{512} << 10;
constexpr std::uint64_t largest_environment = std::uint64_t{64} << 10;
constexpr std::uint64_t sector_bytes = 512;
constexpr std::size_t most_stages = 32;

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

/// The path that is there, or nothing.
std::string first_of(Guest& guest, std::initializer_list<const char*> paths) {
    for (const char* path : paths) {
        if (exists(guest, path)) {
            return path;
        }
    }
    return {};
}

/// GRUB 2 as the distribution names it: Red Hat's and SUSE's carry a 2, to be beside 0.97.
void find_grub2(Guest& guest, BootFacts& facts) {
    if (exists(guest, "/boot/grub2/i386-pc") || exists(guest, "/boot/grub2/grub.cfg")) {
        facts.grub_directory = "/boot/grub2";
    }
    facts.core_image =
        text_of(guest, facts.grub_directory + "/i386-pc/core.img", largest_core_image);
    facts.grub_config = exists(guest, facts.grub_directory + "/grub.cfg");
    const std::string program =
        first_of(guest, {"/usr/sbin/grub2-install", "/usr/sbin/grub-install"});
    const bool has_files = !first_of(guest, {"/usr/lib/grub/i386-pc/kernel.img",
                                             "/usr/share/grub2/i386-pc/kernel.img"})
                                .empty();
    if (!program.empty() && has_files) {
        facts.grub_install = program.substr(program.rfind('/') + 1);
    }
}

void find_grub_legacy(Guest& guest, BootFacts& facts) {
    const std::string directory = "/boot/grub";
    for (const std::string& name : guest.names_in(directory)) {
        if ((name != "stage1" && name != "stage2" && !name.ends_with("stage1_5")) ||
            facts.legacy_stages.size() == most_stages) {
            continue;
        }
        const std::string path = directory + "/" + name;
        if (std::optional<std::string> content = text_of(guest, path, largest_stage)) {
            facts.legacy_stages.push_back({.path = path, .content = *std::move(content)});
        }
    }
    facts.legacy_shell = first_of(guest, {"/sbin/grub", "/usr/sbin/grub"});
}

/// The environment of GRUB 2, which on Red Hat's UEFI systems is a link into the ESP.
LoaderFile environment_of(Guest& guest, const std::string& directory) {
    const std::string path = directory + "/grubenv";
    std::string target = path;
    if (guest.status(path).kind == FileKind::symlink) {
        target = (std::filesystem::path(directory) / guest.link_target(path))
                     .lexically_normal()
                     .string();
    }
    std::optional<std::string> content = text_of(guest, target, largest_environment);
    return content ? LoaderFile{.path = path, .content = *std::move(content)} : LoaderFile{};
}

/// Reads what the code in `disk.sector` goes on to.
void read_next(Guest& guest, unsigned number, const BootFacts& facts, DiskBoot& disk) {
    std::uint64_t size = sector_bytes;
    if (const std::optional<std::uint64_t> core = core_offset(disk.sector)) {
        disk.next_at = *core;
        // In a partition it is a file, whose blocks need not follow each other.
        size = facts.core_image && !disk.in_partition ? facts.core_image->size() : size;
    } else if (const std::optional<LegacyJump> jump = legacy_jump(disk.sector)) {
        disk.next_at = jump->offset;
        for (const LoaderFile& stage : facts.legacy_stages) {
            size = jump->to == LegacyStage::stage1_5 && stage.path.ends_with("stage1_5")
                       ? std::max<std::uint64_t>(size, stage.content.size())
                       : size;
        }
    } else {
        return;
    }
    disk.next = guest.read_disk(number, disk.next_at, size);
}

DiskBoot disk_boot(Guest& guest, unsigned number, const BootFacts& facts) {
    DiskBoot disk{.sector = guest.read_disk(number, 0, sector_bytes)};
    const DosStarts starts = dos_starts(disk.sector);
    disk.first_partition = starts.first;
    if (boot_sector_kind(disk.sector) == BootSector::other && starts.active != 0) {
        const std::string active = guest.read_disk(number, starts.active, sector_bytes);
        const BootSector kind = boot_sector_kind(active);
        if (kind == BootSector::grub2 || kind == BootSector::grub_legacy) {
            disk.sector = active;
            disk.in_partition = true;
        }
    }
    read_next(guest, number, facts, disk);
    return disk;
}

void find_device_names(Guest& guest, BootFacts& facts) {
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
}

} // namespace

BootFacts gather_boot_facts(Guest& guest, const GuestSystem& system) {
    BootFacts facts{.lilo = exists(guest, "/etc/lilo.conf"), .esp = esp_facts(guest, system)};
    find_grub2(guest, facts);
    find_grub_legacy(guest, facts);
    facts.environment = environment_of(guest, facts.grub_directory);
    for (unsigned disk = 0; disk < guest.disk_count(); ++disk) {
        facts.disks.push_back(disk_boot(guest, disk, facts));
    }
    find_device_names(guest, facts);
    return facts;
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
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

} // namespace coldspare::fixup
