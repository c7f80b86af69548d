#pragma once

#include "fixup/guest.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// GPT types, as GuestVolume has them.
inline constexpr std::string_view esp_type = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
inline constexpr std::string_view bios_boot_type = "21686148-6449-6E6F-744E-656564454649";

/// What a BIOS finds on one disk.
struct DiskBoot {
    /// The first 512 bytes of the disk; or of its active partition, if the disk's own code only
    /// goes on to that and GRUB is there.
    std::string sector;
    bool in_partition = false; ///< it is the active partition's
    /// What GRUB in that sector loads, as long as the file that it should be.
    std::string next;
    std::uint64_t next_at = 0;         ///< where that lies on the disk, in bytes
    std::uint64_t first_partition = 0; ///< where the first one of an msdos table begins
};

/// A file of a boot loader with its content.
struct LoaderFile {
    std::string path;
    std::string content;
};

/// A file in a directory below EFI/. FAT knows no upper and lower case: compare with
/// lower_case().
struct EspFile {
    std::string directory; ///< "debian", as it is spelled there
    std::string name;      ///< "shimx64.efi", likewise
    std::string path;      ///< in the system
    std::string content;   ///< of loaders; of others empty
};

/// The EFI system partition.
struct EspFacts {
    std::string device;      ///< of the partition, or empty
    std::string mount_point; ///< "/boot/efi"; empty: it is not mounted
    std::string root;        ///< the directory EFI in it, as it is spelled there, or would be
    std::vector<EspFile> files;
    std::uint64_t free = 0; ///< bytes
};

/// What boots the machine.
struct BootFacts {
    std::vector<DiskBoot> disks;
    std::string grub_directory = "/boot/grub"; ///< or /boot/grub2: of GRUB 2
    std::optional<std::string> core_image;     ///< i386-pc/core.img in it
    std::string grub_install;                  ///< the program, if GRUB's i386-pc files are there
    bool grub_config = false;                  ///< grub.cfg in that directory
    std::vector<LoaderFile> legacy_stages;     ///< stage1, stage2, *_stage1_5 of GRUB 0.97
    std::string legacy_shell;                  ///< /sbin/grub, or empty
    bool lilo = false;                         ///< /etc/lilo.conf
    std::optional<EspFacts> esp;
    LoaderFile environment; ///< grubenv, or an empty path
    /// Lines of grub.cfg, /etc/default/grub and fstab that name a disk by its device node.
    std::vector<std::string> device_names;
    /// Those of them that the system starts with, and that no disk of the VM can be called.
    std::vector<std::string> lost_devices;
};

/// Collects them; reads only.
[[nodiscard]] BootFacts gather_boot_facts(Guest& guest, const GuestSystem& system);

/// `text` with a to z for A to Z.
[[nodiscard]] std::string lower_case(std::string_view text);

/// Lines of `text` with root=, resume= or a first field that is a device node (/dev/sd, hd,
/// nvme...).
[[nodiscard]] std::vector<std::string> device_name_lines(std::string_view path,
                                                         std::string_view text);
/// Lines without which the system does not come up and that name a disk as no virtio or SCSI disk
/// is ever called (/dev/nvme, hd, cciss, by-path): of fstab each file system that is mounted at
/// boot, of grub.cfg the first linux line, which is the default. Entries further down may be of
/// another system that os-prober saw.
[[nodiscard]] std::vector<std::string> lost_device_lines(std::string_view path,
                                                         std::string_view text);

} // namespace coldspare::fixup
