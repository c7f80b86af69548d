#include "fixup/boot_choice.hpp"
#include "fixup/boot_warnings.hpp"
#include "fixup/fixes.hpp"

#include <fmt/format.h>

// GRUB 0.97 is installed by a shell of its own, `grub`, which reads the file systems with its own
// code and writes boot sectors: no mount and no chroot is needed, only names of disks. Those are
// given to it by label, and /boot/grub/device.map stays out of it. It reads past the kernel's cache
// of files: hence the sync. It ends with status 0 whatever went wrong; that it said "Done." is the
// sign, and the facts are gathered again afterwards.

namespace coldspare::fixup {

namespace {

constexpr std::string_view hint =
    "install GRUB on the server so that its boot sector is whole, and clone again";

FixPlan cannot(std::string detail) {
    return {.outcome = Outcome::cannot, .detail = std::move(detail), .hint = std::string(hint)};
}

/// The file that its menu is read from.
bool has_menu(const FileTree& files) {
    return files.exists("/boot/grub/menu.lst") || files.exists("/boot/grub/grub.conf");
}

FixPlan install(const PlanInput& input, const BootChoice& choice) {
    const Facts& facts = input.facts;
    const GuestVolume* volume = boot_volume(facts);
    if (facts.boot.legacy_shell.empty()) {
        return cannot(
            fmt::format("{}, and the system has no 'grub' shell to install it with", choice.wrong));
    }
    if (volume == nullptr || !volume->disk || !volume->partition) {
        return cannot(fmt::format("{}, and /boot is in no plain partition, where alone GRUB 0.97 "
                                  "can read it",
                                  choice.wrong));
    }
    // (hd0) is the disk that the VM starts from.
    std::string words = fmt::format("'device (hd0) {}' ", facts.disk_names.at(choice.disk));
    const bool same = *volume->disk == choice.disk;
    if (!same) {
        words += fmt::format("'device (hd1) {}' ", facts.disk_names.at(*volume->disk));
    }
    words +=
        fmt::format("'root (hd{},{})' 'setup (hd0)' quit", same ? 0 : 1, *volume->partition - 1);
    FixPlan plan{.outcome = Outcome::planned,
                 .detail = fmt::format("GRUB 0.97 installed, because {}", choice.wrong)};
    plan.commands.push_back(
        {.line = fmt::format("sync; said=$(printf '%s\\n' {} | {} --batch --no-floppy "
                             "--device-map=/dev/null 2>&1); echo \"$said\"; "
                             "case $said in *Done.*) sync ;; *) exit 1 ;; esac",
                             words, facts.boot.legacy_shell),
         .why = choice.wrong,
         .hint = std::string(hint)});
    return plan;
}

} // namespace

FixPlan plan_grub_legacy(const PlanInput& input) {
    const BootChoice choice = boot_choice(input.facts);
    if (choice.loader != Loader::grub_legacy) {
        return {.detail = "the system does not start by GRUB 0.97"};
    }
    FixPlan plan;
    if (!choice.wrong.empty()) {
        plan = install(input, choice);
    } else if (!has_menu(input.files)) {
        plan = cannot("GRUB 0.97 is in the boot sector, and /boot/grub has no menu.lst");
    } else {
        plan.detail = "GRUB 0.97 is in the boot sector and loads the system's stages";
    }
    plan.warnings = boot_warnings(input);
    return plan;
}

} // namespace coldspare::fixup
