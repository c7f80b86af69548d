#include "fixup/fixes.hpp"

#include <array>

namespace coldspare::fixup {

namespace {

/// What each fix reads, in the language of read_files().
using Patterns = std::string_view;
constexpr std::array<Patterns, 1> read_by_udev_net{"/etc/udev/rules.d/*.rules"};
constexpr std::array<Patterns, 16> read_by_network_config{
    "/etc/udev/rules.d/*.rules",
    "/etc/iftab",
    "/etc/mactab",
    "/etc/sysconfig/network-scripts/ifcfg-*",
    "/etc/sysconfig/network/ifcfg-*",
    "/etc/sysconfig/network/hwcfg-*",
    "?/etc/sysconfig/hwconf",
    "/etc/NetworkManager/system-connections/*",
    "/etc/netplan/*.yaml",
    "/etc/systemd/network/*.link",
    "/etc/systemd/network/*.network",
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/*",
    "?/etc/cloud/cloud.cfg",
    "?/etc/cloud/cloud-init.disabled",
    "/etc/cloud/cloud.cfg.d/*.cfg"};
constexpr std::array<Patterns, 10> read_by_name_pinning{
    "?/lib/systemd/libsystemd-shared-*.so",
    "?/usr/lib/systemd/libsystemd-shared-*.so",
    "?/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-*.so",
    "?/usr/lib/i386-linux-gnu/systemd/libsystemd-shared-*.so",
    "?/lib/systemd/systemd",
    "?/usr/lib/systemd/systemd",
    "?/lib/systemd/systemd-udevd",
    "?/usr/lib/systemd/systemd-udevd",
    "?/lib/udev/rename_device",
    "?/usr/lib/udev/rename_device"};
constexpr std::array<Patterns, 1> read_by_initramfs{"/etc/initramfs-tools/modules"};
constexpr std::array<Patterns, 1> read_by_grub_bios{"/boot/grub/device.map"};

constexpr std::array<Fix, 5> table{{
    {"udev-persistent-net", "the network cards of the VM get the names that the system knows",
     read_by_udev_net, plan_udev_net},
    {"network-config", "what finds a network card by its address finds the VM's",
     read_by_network_config, plan_network_config},
    {"name-pinning", "network cards that nothing names keep the names of the server's",
     read_by_name_pinning, plan_name_pinning},
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
