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

constexpr std::uint64_t largest_core_image = std::uint64_t{8} << 20;
constexpr std::uint64_t largest_stage = std::uint64_t{512} << 10;
constexpr std::uint64_t largest_environment = std::uint64_t{64} << 10;
constexpr std::uint64_t sector_bytes = 512;
constexpr std::size_t most_stages = 32;

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

} // namespace

BootFacts gather_boot_facts(Guest& guest, const GuestSystem& system) {
    BootFacts facts{.lilo = exists(guest, "/etc/lilo.conf"), .esp = esp_facts(guest, system)};
    find_grub2(guest, facts);
    find_grub_legacy(guest, facts);
    facts.environment = environment_of(guest, facts.grub_directory);
    for (unsigned disk = 0; disk < guest.disk_count(); ++disk) {
        facts.disks.push_back(disk_boot(guest, disk, facts));
    }
    return facts;
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

} // namespace coldspare::fixup
