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
constexpr auto read_by_holds = std::to_array<Patterns>(
    {// what is process 1
     "?/sbin/init", "?/usr/sbin/init", "?/lib/systemd/systemd", "?/usr/lib/systemd/systemd",
     "?/bin/systemd",
     // systemd
     "?/etc/systemd/system/*.service", "?/etc/systemd/system/*.socket",
     "?/etc/systemd/system/*.timer", "?/etc/systemd/system/*.path",
     "?/etc/systemd/system/*.wants/*", "?/etc/systemd/system/*.requires/*",
     "/etc/systemd/system/*.d/zz-coldspare-hold.conf", "?/usr/local/lib/systemd/system/*.service",
     "?/lib/systemd/system/*.service", "?/lib/systemd/system/*.socket",
     "?/lib/systemd/system/*.timer", "?/lib/systemd/system/*.path",
     "?/usr/lib/systemd/system/*.service", "?/usr/lib/systemd/system/*.socket",
     "?/usr/lib/systemd/system/*.timer", "?/usr/lib/systemd/system/*.path",
     // SysV init, Upstart, xinetd, runit
     "/etc/init.d/*", "?/etc/rc.d", "?/etc/rc*.d/S*", "?/etc/rc.d/rc*.d/S*",
     "?/etc/init.d/rc*.d/S*", "?/etc/init/*.conf", "/etc/init/*.override", "/etc/xinetd.d/*",
     "?/etc/service/*", "?/var/service/*", "?/service/*", "?/etc/sv/*/down", "?/etc/runit/*/down",
     "?/etc/service/*/down", "?/var/service/*/down",
     // UCS
     "/etc/univention/*.conf",
     // other starters
     "/etc/rc.local", "/etc/rc.d/rc.local", "/etc/inittab", "/etc/inetd.conf", "/etc/crontab",
     "/etc/cron.d/*", "/var/spool/cron/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/tabs/*",
     "/etc/monitrc", "/etc/monit/monitrc", "/etc/monit/conf.d/*", "/etc/monit/conf-enabled/*",
     "/etc/monit.d/*"});
constexpr auto read_by_initiator = std::to_array<Patterns>(
    {"/etc/iscsi/initiatorname.iscsi", "/etc/initiatorname.iscsi", "/etc/iscsi/iscsid.conf",
     "/etc/iscsid.conf", "?/etc/iscsi/iscsi.initramfs", "/etc/iscsi/nodes/*/*",
     "/etc/iscsi/nodes/*/*/*", "/var/lib/iscsi/nodes/*/*", "/var/lib/iscsi/nodes/*/*/*",
     "/etc/iscsi/ifaces/*", "/var/lib/iscsi/ifaces/*", "/etc/fstab"});
constexpr std::array<Patterns, 1> read_by_marker{"/etc/coldspare-standby.json"};
constexpr std::array<Patterns, 1> read_by_initramfs{"/etc/initramfs-tools/modules"};
constexpr std::array<Patterns, 7> read_by_grub_bios{
    "/boot/grub/device.map", "/boot/grub2/device.map", "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",  "/etc/default/grub",      "/boot/loader/entries/*.conf",
    "/etc/machine-id"};
constexpr std::array<Patterns, 2> read_by_grub_legacy{"/boot/grub/menu.lst",
                                                      "/boot/grub/grub.conf"};

constexpr auto table = std::to_array<Fix>({
    {"udev-persistent-net", "the network cards of the VM get the names that the system knows",
     read_by_udev_net, plan_udev_net},
    {"network-config", "what finds a network card by its address finds the VM's",
     read_by_network_config, plan_network_config},
    {"name-pinning", "network cards that nothing names keep the names of the server's",
     read_by_name_pinning, plan_name_pinning},
    {"holds", "services wait for the runbook", read_by_holds, plan_holds},
    {"initiator-name", "the standby is no second initiator of the server's name, and logs in late",
     read_by_initiator, plan_initiator},
    {"initramfs-virtio", "the initramfs knows the VM's disk, and the new names", read_by_initramfs,
     plan_initramfs},
    {"grub-bios", "the disk starts GRUB 2 from a BIOS", read_by_grub_bios, plan_grub_bios},
    {"grub-legacy", "the disk starts GRUB 0.97 from a BIOS", read_by_grub_legacy, plan_grub_legacy},
    {"uefi-fallback",
     "a firmware that remembers no boot entry finds the boot loader",
     {},
     plan_uefi_fallback},
    {"marker", "the copy says what was done to it", read_by_marker, plan_marker},
});

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
