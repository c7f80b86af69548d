#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

// What GRUB 2 for a BIOS leaves on a disk (grub-core/boot/i386/pc/{boot,diskboot,startup_raw}.S and
// util/setup.c of GRUB 2.06): boot.img in sector 0, which loads the first sector of core.img from
// the sector whose number stands at 0x5C; that first sector has a list of the rest at its end.
// grub-install writes core.img to /boot first and patches three fields of the copy on the disk.

namespace coldspare::fixup {

enum class BootSector { grub2, grub_legacy, lilo, other, empty };

/// What the first sector of a disk is. A GRUB 2 sector is not yet a GRUB 2 that works.
[[nodiscard]] BootSector boot_sector_kind(std::string_view sector);

/// The byte offset of core.img that a GRUB 2 boot sector jumps to; nothing for other sectors and
/// for offsets that no BIOS could reach.
[[nodiscard]] std::optional<std::uint64_t> core_offset(std::string_view sector);

/// Whether `embedded`, read from the disk, is core.img `file` apart from the fields that grub-setup
/// patches: the block list (0x1F4 to 0x1FF), the length of the Reed-Solomon codes (0x210 to 0x213)
/// and the boot device (0x218 to 0x21B).
[[nodiscard]] bool same_core(std::string_view embedded, std::string_view file);

} // namespace coldspare::fixup
