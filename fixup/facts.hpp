#pragma once

#include "base/inventory.hpp"
#include "fixup/file_tree.hpp"
#include "fixup/guest.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// A file of /etc/udev/rules.d.
struct RulesFile {
    std::string path;
    FileStatus status;
    std::string content; ///< of an ordinary file that is not too large
    bool readable = false;
};

/// A kernel with its initramfs.
struct KernelFacts {
    std::string version;
    std::string initrd; ///< path, empty if there is none
    std::uint64_t initrd_bytes = 0;
    std::set<std::string> builtin;  ///< all that modules.builtin lists, '_' for '-'
    std::set<std::string> loadable; ///< all that modules.dep lists
    std::set<std::string> in_initrd;
    std::string unreadable; ///< why the initramfs could not be listed, or empty
};

/// How the guest builds its initramfs.
struct InitramfsFacts {
    bool update_initramfs = false; ///< Debian's initramfs-tools
    bool dracut = false;
    std::string mode; ///< the effective MODULES=: "most", "dep", "list", "netboot"
    std::optional<std::string> modules_file; ///< /etc/initramfs-tools/modules
};

/// What boots the machine.
struct BootFacts {
    std::string boot_sector;               ///< the first 512 bytes of the disk
    std::string embedded_core;             ///< what that sector jumps to, as long as core_image
    std::optional<std::string> core_image; ///< /boot/grub/i386-pc/core.img
    bool grub_install = false;             ///< grub-install and its i386-pc files
    bool grub_config = false;              ///< /boot/grub/grub.cfg
    bool efi = false;                      ///< GRUB for UEFI, and none for BIOS
    bool grub_legacy = false;
    bool lilo = false;
    std::optional<std::string> device_map; ///< /boot/grub/device.map
    /// Lines of grub.cfg, /etc/default/grub and fstab that name a disk by its device node.
    std::vector<std::string> device_names;
    /// Those of them that the system starts with, and that no disk of the VM can be called.
    std::vector<std::string> lost_devices;
};

/// All that the plan is made from.
struct Facts {
    GuestSystem system;
    std::vector<std::string> disk_names; ///< Guest::disk_name() of each
    FileTree files;                      ///< what the fixes asked for
    std::optional<Inventory> inventory;  ///< of the server while it ran, if it is known
    bool rules_directory = false;        ///< /etc/udev/rules.d
    std::vector<RulesFile> rules;
    std::vector<KernelFacts> kernels;  ///< newest first
    std::vector<std::string> left_out; ///< versions in /boot without /lib/modules, beside others
    InitramfsFacts initramfs;
    BootFacts boot;
    std::uint64_t boot_free = 0; ///< bytes
    std::uint64_t root_free = 0;
};

/// Collects the facts; reads only. Blocks, for seconds under emulation (one lsinitramfs a kernel).
[[nodiscard]] Facts gather_facts(Guest& guest,
                                 const std::optional<Inventory>& inventory = std::nullopt);

/// Parts of it, apart for tests.
/// The module names in a listing of lsinitramfs, or in modules.dep or modules.builtin.
[[nodiscard]] std::set<std::string> module_names(std::string_view listing);
/// The effective MODULES= setting of initramfs.conf and conf.d, read one after the other.
[[nodiscard]] std::string modules_setting(std::string_view configuration);
/// Whether version `a` is older than `b`: numbers count as numbers, as Debian sorts kernels.
[[nodiscard]] bool older_version(std::string_view a, std::string_view b);
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
