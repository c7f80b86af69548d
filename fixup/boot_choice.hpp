#pragma once

#include "fixup/facts.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace coldspare::fixup {

enum class Loader { none, grub2, grub_legacy, lilo, uefi };

/// Which boot loader starts the system, and from which disk. The fixes of boot loaders and the
/// firmware of the VM follow from this one decision.
struct BootChoice {
    Loader loader = Loader::none;
    unsigned disk = 0; ///< the one that the firmware must start from
    std::string wrong; ///< of a BIOS: why that disk does not start it; empty: it does
};

/// The rules, in this order. An EFI system partition with loaders on it: what the inventory says
/// that the server's firmware was; else UEFI, unless a disk has a GRUB 2 for a BIOS beside it that
/// works or has a bios_boot partition (a disk that starts both ways is started by BIOS, as
/// libguestfs does). Then the first disk whose boot code is whole. Then what could be installed:
/// GRUB 2, GRUB 0.97. Then LILO.
[[nodiscard]] BootChoice boot_choice(const Facts& facts);

/// Whether a GPT of that disk has a bios_boot partition, where GRUB 2 can be.
[[nodiscard]] bool has_bios_boot(const Facts& facts, unsigned disk);

/// The volume that is mounted at /boot, or else at /; nothing if it is not among the volumes.
[[nodiscard]] const GuestVolume* boot_volume(const Facts& facts);

} // namespace coldspare::fixup
