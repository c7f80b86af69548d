#include "fixup/fixes.hpp"

#include "fixup/boot_services.hpp"
#include "fixup/kernel_arguments.hpp"

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

/// What each fix reads, in the language of read_files().
using Patterns = std::string_view;
constexpr std::array<Patterns, 1> read_by_udev_net{"/etc/udev/rules.d/*.rules"};
constexpr std::array<Patterns, 18> read_by_storage_names{
    "/etc/fstab",
    "/etc/crypttab",
    "/etc/multipath.conf",
    "/etc/multipath/bindings",
    "/var/lib/multipath/bindings",
    "/etc/initramfs-tools/conf.d/*",
    "/etc/mdadm/mdadm.conf",
    "/etc/mdadm.conf",
    "/etc/smartd.conf",
    "/etc/smartmontools/smartd.conf",
    "/boot/grub/device.map",
    "/boot/grub2/device.map",
    "/etc/default/grub_installdevice",
    "/etc/raw.map",
    "/etc/sysconfig/rawdevices",
    "/var/cache/debconf/config.dat",
    "?/usr/share/initramfs-tools/hooks/clevis",
    "?/usr/lib/dracut/modules.d/60clevis-pin-tpm2"};
constexpr std::array<Patterns, 15> read_by_storage_stack{
    "/etc/lvm/lvm.conf",     "/etc/lvm/lvmlocal.conf", "/etc/lvm/devices/system.devices",
    "/etc/lvm/cache/.cache", "/etc/lvm/.cache",        "/etc/blkid.tab",
    "/etc/blkid.tab.old",    "/etc/blkid/blkid.tab",   "/etc/blkid/blkid.tab.old",
    "/etc/multipath/wwids",  "?/etc/iscsi/nodes/*",    "?/var/lib/iscsi/nodes/*",
    "?/usr/lib/dracut",      "?/usr/bin/dracut",       "?/sbin/dracut"};
/// Beside what says which services start.
constexpr std::array<Patterns, 2> modules_to_load{"/etc/modules", "/etc/modules-load.d/*.conf"};
constexpr auto read_by_hardware_agents = [] {
    std::array<Patterns, service_patterns.size() + modules_to_load.size()> all{};
    std::ranges::copy(modules_to_load, std::ranges::copy(service_patterns, all.begin()).out);
    return all;
}();
constexpr std::array<Patterns, 1> read_by_initramfs{"/etc/initramfs-tools/modules"};
constexpr std::array<Patterns, 1> read_by_grub_bios{"/boot/grub/device.map"};

constexpr std::array<Fix, 7> table{{
    {"udev-persistent-net", "the network cards of the VM get the names that the system knows",
     read_by_udev_net, plan_udev_net},
    {"kernel-arguments", "the kernel finds its root and its network cards in the VM",
     argument_patterns, plan_kernel_arguments},
    {"storage-names", "every volume is named so that the VM has it", read_by_storage_names,
     plan_storage_names},
    {"storage-stack", "LVM, multipath and arrays take the VM's disks", read_by_storage_stack,
     plan_storage_stack},
    {"hardware-agents", "services that look for the server's hardware", read_by_hardware_agents,
     plan_hardware_agents},
    {"initramfs-virtio", "the initramfs knows the VM's disk, and the new names", read_by_initramfs,
     plan_initramfs},
    {"grub-bios", "the disk starts GRUB 2 from a BIOS", read_by_grub_bios, plan_grub_bios},
}};

} // namespace

std::span<const Fix> fixes() {
    return table;
}

std::vector<std::string_view> files_to_read() {
    std::vector<std::string_view> patterns;
    for (const Fix& fix : table) {
        patterns.insert(patterns.end(), fix.reads.begin(), fix.reads.end());
    }
    return patterns;
}

} // namespace coldspare::fixup
