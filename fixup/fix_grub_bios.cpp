#include "fixup/fixes.hpp"
#include "fixup/grub_image.hpp"

#include <fmt/format.h>

namespace coldspare::fixup {

namespace {

constexpr std::string_view device_map_path = "/boot/grub/device.map";

FixPlan cannot(std::string_view detail, std::string_view hint) {
    return {.outcome = Outcome::cannot, .detail = std::string(detail), .hint = std::string(hint)};
}

/// Why GRUB 2 does not start from this disk, or nothing if it does.
std::string_view complaint(const BootFacts& boot) {
    switch (boot_sector_kind(boot.boot_sector)) {
    case BootSector::empty:
        return "the boot sector is empty";
    case BootSector::lilo:
        return "LILO is in the boot sector";
    case BootSector::grub_legacy:
        return "GRUB 0.97 is in the boot sector";
    case BootSector::other:
        return "something else than GRUB is in the boot sector";
    case BootSector::grub2:
        break;
    }
    if (!boot.core_image) {
        return "/boot/grub/i386-pc/core.img is missing";
    }
    return same_core(boot.embedded_core, *boot.core_image)
               ? ""
               : "what the boot sector loads is not /boot/grub/i386-pc/core.img";
}

/// What keeps GRUB 2 from being installed, or nothing.
std::optional<FixPlan> obstacle(const BootFacts& boot) {
    if (boot.efi) {
        return cannot("the system boots by UEFI, which this version does not prepare",
                      "give the VM a UEFI firmware and choose EFI/<system>/grubx64.efi there once");
    }
    if (boot.lilo && !boot.grub_config) {
        return cannot("the system boots by LILO, which this version cannot install",
                      "install GRUB 2 (grub-pc) on the server and clone again");
    }
    if (boot.grub_legacy && !boot.grub_config) {
        return cannot("the system boots by GRUB 0.97, which this version cannot install",
                      "install GRUB 2 (grub-pc) on the server and clone again");
    }
    if (!boot.grub_config || !boot.grub_install) {
        return cannot(
            "there is no GRUB 2 for a BIOS (grub.cfg, grub-install, i386-pc) in the system",
            "install grub-pc on the server and clone again");
    }
    return std::nullopt;
}

} // namespace

FixPlan plan_grub_bios(const PlanInput& input) {
    const BootFacts& boot = input.facts.boot;
    FixPlan plan;
    const std::string_view wrong = complaint(boot);
    if (wrong.empty()) {
        plan.detail = "GRUB 2 is in the boot sector and loads the system's core.img";
    } else if (std::optional<FixPlan> reason = obstacle(boot)) {
        plan = *std::move(reason);
    } else {
        plan.outcome = Outcome::planned;
        plan.detail = fmt::format("GRUB 2 installed, because {}", wrong);
        plan.edits.push_back({.path = std::string(device_map_path),
                              .before = boot.device_map,
                              .after = fmt::format("(hd0)\t{}\n", input.facts.disk_names.front()),
                              .why = "the disk by its label, because numbers change",
                              .lifetime = Lifetime::during_commands});
        plan.commands.push_back({.line = fmt::format("grub-install --target=i386-pc {}",
                                                     input.facts.disk_names.front()),
                                 .why = std::string(wrong)});
    }
    if (!boot.lost_devices.empty() && plan.outcome != Outcome::cannot) {
        plan = cannot(fmt::format("{} names a disk as no disk of the VM is called",
                                  boot.lost_devices.front()),
                      "put UUID=... in its place on the server (blkid shows it), run update-grub "
                      "there and clone again");
    }
    for (const std::string& line : boot.device_names) {
        plan.warnings.push_back(
            fmt::format("{} (the VM may call this disk otherwise; UUID= is safe)", line));
    }
    return plan;
}

} // namespace coldspare::fixup
