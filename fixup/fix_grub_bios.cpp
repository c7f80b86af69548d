#include "fixup/boot_choice.hpp"
#include "fixup/boot_warnings.hpp"
#include "fixup/fixes.hpp"

#include <fmt/format.h>

namespace coldspare::fixup {

namespace {

FixPlan cannot(std::string_view detail, std::string_view hint) {
    return {.outcome = Outcome::cannot, .detail = std::string(detail), .hint = std::string(hint)};
}

/// What keeps GRUB 2 from being installed on this disk, or nothing.
std::optional<FixPlan> obstacle(const Facts& facts, unsigned disk) {
    const BootFacts& boot = facts.boot;
    if (!boot.grub_config || boot.grub_install.empty()) {
        return cannot(
            "there is no GRUB 2 for a BIOS (grub.cfg, grub-install, i386-pc) in the system",
            "install grub-pc (grub2-pc) on the server and clone again");
    }
    const std::string_view table =
        disk < facts.system.tables.size() ? std::string_view(facts.system.tables[disk]) : "";
    if (table == "gpt" && !has_bios_boot(facts, disk)) {
        return cannot("the disk has a GPT without a bios_boot partition: GRUB 2 has no safe place "
                      "on it",
                      "make a partition of 1 MiB and of type 'BIOS boot' on the server, run "
                      "grub-install there and clone again");
    }
    constexpr std::uint64_t sector_bytes = 512;
    const std::uint64_t begin = boot.disks[disk].first_partition;
    if (table == "msdos" && begin != 0 && boot.core_image &&
        boot.core_image->size() > begin - sector_bytes) {
        return cannot(fmt::format("GRUB 2 needs {} bytes and has {} before the first partition",
                                  boot.core_image->size(), begin - sector_bytes),
                      "move the first partition to 1 MiB on the server, run grub-install there and "
                      "clone again");
    }
    return std::nullopt;
}

/// The disks by their labels, the one that the VM starts from as the first.
std::string device_map(const std::vector<std::string>& names, unsigned first) {
    std::string map = fmt::format("(hd0)\t{}\n", names.at(first));
    for (unsigned disk = 0, number = 1; disk < names.size(); ++disk) {
        if (disk != first) {
            map += fmt::format("(hd{})\t{}\n", number++, names[disk]);
        }
    }
    return map;
}

FixPlan install(const PlanInput& input, const BootChoice& choice) {
    const BootFacts& boot = input.facts.boot;
    const std::string map_path = boot.grub_directory + "/device.map";
    const std::string* map = input.files.text(map_path);
    FixPlan plan{.outcome = Outcome::planned,
                 .detail = fmt::format("GRUB 2 installed, because {}", choice.wrong)};
    plan.edits.push_back({.path = map_path,
                          .before = map == nullptr ? std::nullopt : std::optional(*map),
                          .after = device_map(input.facts.disk_names, choice.disk),
                          .why = "the disk by its label, because numbers change",
                          .lifetime = Lifetime::during_commands});
    plan.commands.push_back({.line = fmt::format("{} --target=i386-pc {}", boot.grub_install,
                                                 input.facts.disk_names.at(choice.disk)),
                             .why = choice.wrong});
    return plan;
}

FixPlan plan_for(const PlanInput& input, const BootChoice& choice) {
    switch (choice.loader) {
    case Loader::uefi:
        return {.detail = "the system starts by UEFI"};
    case Loader::grub_legacy:
        return {.detail = "the system starts by GRUB 0.97"};
    case Loader::lilo:
        return cannot("the system starts by LILO, whose list of disk blocks is void as soon as the "
                      "initramfs is another",
                      "install GRUB (grub-pc) on the server and clone again");
    case Loader::none:
        return cannot("there is no boot loader on the disks",
                      "clone the disk that the server starts from as well");
    case Loader::grub2:
        break;
    }
    if (choice.wrong.empty()) {
        return {.detail = "GRUB 2 is in the boot sector and loads the system's core.img"};
    }
    std::optional<FixPlan> reason = obstacle(input.facts, choice.disk);
    return reason ? *std::move(reason) : install(input, choice);
}

} // namespace

FixPlan plan_grub_bios(const PlanInput& input) {
    const BootFacts& boot = input.facts.boot;
    const BootChoice choice = boot_choice(input.facts);
    FixPlan plan = plan_for(input, choice);
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
    if (choice.loader == Loader::grub2) {
        for (std::string& warning : boot_warnings(input)) {
            plan.warnings.push_back(std::move(warning));
        }
    }
    return plan;
}

} // namespace coldspare::fixup
