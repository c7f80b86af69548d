#include "fixup/boot_choice.hpp"

#include "fixup/grub_image.hpp"
#include "fixup/grub_legacy_image.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

BootSector kind_of(const Facts& facts, unsigned disk) {
    return boot_sector_kind(facts.boot.disks[disk].sector);
}

bool is_gpt(const Facts& facts, unsigned disk) {
    return disk < facts.system.tables.size() && facts.system.tables[disk] == "gpt";
}

/// Whether a GPT protects what lies there from everybody but GRUB.
bool lies_in_bios_boot(const Facts& facts, unsigned disk) {
    const std::uint64_t at = facts.boot.disks[disk].next_at;
    return std::ranges::any_of(facts.system.volumes, [&](const GuestVolume& volume) {
        return volume.disk == disk && volume.partition_type == bios_boot_type &&
               (volume.size == 0 || (at >= volume.start && at - volume.start < volume.size));
    });
}

std::string wrong_with_grub2(const Facts& facts, unsigned disk) {
    const BootFacts& boot = facts.boot;
    const DiskBoot& code = boot.disks[disk];
    if (!boot.core_image) {
        return fmt::format("{}/i386-pc/core.img is missing", boot.grub_directory);
    }
    const std::string_view file = *boot.core_image;
    if (!same_core(code.next, code.in_partition ? file.substr(0, code.next.size()) : file)) {
        return fmt::format("what the boot sector loads is not {}/i386-pc/core.img",
                           boot.grub_directory);
    }
    return is_gpt(facts, disk) && !code.in_partition && !lies_in_bios_boot(facts, disk)
               ? "the boot sector loads from outside of the bios_boot partition"
               : "";
}

std::string wrong_with_legacy(const Facts& facts, unsigned disk) {
    const DiskBoot& code = facts.boot.disks[disk];
    const std::optional<LegacyJump> jump = legacy_jump(code.sector);
    if (!jump) {
        return "the boot sector of GRUB 0.97 is damaged";
    }
    const std::string_view suffix = jump->to == LegacyStage::stage1_5 ? "stage1_5" : "stage2";
    const std::vector<LoaderFile>& stages = facts.boot.legacy_stages;
    if (std::ranges::none_of(
            stages, [](const LoaderFile& stage) { return stage.path.ends_with("stage2"); })) {
        return "/boot/grub/stage2 is missing";
    }
    const bool known = std::ranges::any_of(stages, [&](const LoaderFile& stage) {
        return stage.path.ends_with(suffix) &&
               same_stage(std::string_view(code.next).substr(
                              0, std::min(code.next.size(), stage.content.size())),
                          stage.content);
    });
    return known ? "" : fmt::format("what the boot sector loads is no {} of /boot/grub", suffix);
}

/// What keeps the boot sector of this disk from starting the system, or nothing.
std::string wrong_with(const Facts& facts, unsigned disk) {
    switch (kind_of(facts, disk)) {
    case BootSector::empty:
        return "the boot sector is empty";
    case BootSector::lilo:
        return "LILO is in the boot sector";
    case BootSector::other:
        return "something else than GRUB is in the boot sector";
    case BootSector::grub_legacy:
        return wrong_with_legacy(facts, disk);
    case BootSector::grub2:
        return wrong_with_grub2(facts, disk);
    }
    return {};
}

/// The first disk that a BIOS can start the system from.
std::optional<BootChoice> whole_one(const Facts& facts) {
    for (unsigned disk = 0; disk < facts.boot.disks.size(); ++disk) {
        const BootSector kind = kind_of(facts, disk);
        const bool is_grub = kind == BootSector::grub2 || kind == BootSector::grub_legacy;
        if (is_grub && wrong_with(facts, disk).empty()) {
            return BootChoice{.loader =
                                  kind == BootSector::grub2 ? Loader::grub2 : Loader::grub_legacy,
                              .disk = disk};
        }
    }
    return std::nullopt;
}

bool can_install_grub2(const Facts& facts) {
    return facts.boot.grub_config && !facts.boot.grub_install.empty();
}

bool is_uefi(const Facts& facts) {
    const std::optional<EspFacts>& esp = facts.boot.esp;
    if (!esp || esp->files.empty()) {
        return false;
    }
    if (facts.inventory && !facts.inventory->firmware.empty()) {
        return facts.inventory->firmware == "uefi";
    }
    for (unsigned disk = 0; disk < facts.boot.disks.size(); ++disk) {
        if (kind_of(facts, disk) == BootSector::grub2 && has_bios_boot(facts, disk) &&
            can_install_grub2(facts)) {
            return false;
        }
    }
    return !whole_one(facts);
}

/// The disk that a boot loader should go to: where one was, or where /boot is.
unsigned disk_for_repair(const Facts& facts) {
    for (unsigned disk = 0; disk < facts.boot.disks.size(); ++disk) {
        const BootSector kind = kind_of(facts, disk);
        if (kind == BootSector::grub2 || kind == BootSector::grub_legacy) {
            return disk;
        }
    }
    const GuestVolume* volume = boot_volume(facts);
    const unsigned disk = volume != nullptr ? volume->disk.value_or(0) : 0;
    return disk < facts.boot.disks.size() ? disk : 0;
}

} // namespace

bool has_bios_boot(const Facts& facts, unsigned disk) {
    return std::ranges::any_of(facts.system.volumes, [disk](const GuestVolume& volume) {
        return volume.disk == disk && volume.partition_type == bios_boot_type;
    });
}

const GuestVolume* boot_volume(const Facts& facts) {
    for (const std::string_view point : {"/boot", "/"}) {
        const auto found =
            std::ranges::find(facts.system.volumes, point, &GuestVolume::mount_point);
        if (found != facts.system.volumes.end()) {
            return &*found;
        }
    }
    return nullptr;
}

BootChoice boot_choice(const Facts& facts) {
    if (facts.boot.disks.empty() || is_uefi(facts)) {
        const GuestVolume* volume = boot_volume(facts);
        BootChoice choice{.loader = facts.boot.disks.empty() ? Loader::none : Loader::uefi,
                          .disk = volume != nullptr ? volume->disk.value_or(0) : 0};
        for (const GuestVolume& each : facts.system.volumes) {
            if (facts.boot.esp && each.device == facts.boot.esp->device) {
                choice.disk = each.disk.value_or(choice.disk);
            }
        }
        return choice;
    }
    if (const std::optional<BootChoice> whole = whole_one(facts)) {
        return *whole;
    }
    const unsigned disk = disk_for_repair(facts);
    BootChoice choice{.disk = disk, .wrong = wrong_with(facts, disk)};
    const BootSector kind = kind_of(facts, disk);
    const bool legacy_files =
        std::ranges::any_of(facts.boot.legacy_stages,
                            [](const LoaderFile& stage) { return stage.path.ends_with("stage2"); });
    if (kind == BootSector::grub_legacy && legacy_files) {
        choice.loader = Loader::grub_legacy;
    } else if (kind == BootSector::grub2 || can_install_grub2(facts)) {
        choice.loader = Loader::grub2;
    } else if (legacy_files || kind == BootSector::grub_legacy) {
        choice.loader = Loader::grub_legacy;
    } else if (kind == BootSector::lilo || facts.boot.lilo) {
        choice.loader = Loader::lilo;
    } else if (facts.boot.esp) {
        choice.loader = Loader::uefi;
    } else if (facts.boot.grub_config) {
        choice.loader = Loader::grub2;
    }
    return choice;
}

} // namespace coldspare::fixup
