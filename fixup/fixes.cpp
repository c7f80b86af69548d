#include "fixup/fixes.hpp"

#include <array>

namespace coldspare::fixup {

namespace {

/// What each fix reads, in the language of read_files().
using Patterns = std::string_view;
constexpr std::array<Patterns, 1> read_by_udev_net{"/etc/udev/rules.d/*.rules"};
constexpr std::array<Patterns, 1> read_by_initramfs{"/etc/initramfs-tools/modules"};
constexpr std::array<Patterns, 1> read_by_grub_bios{"/boot/grub/device.map"};

constexpr std::array<Fix, 3> table{{
    {"udev-persistent-net", "the network cards of the VM get the names that the system knows",
     read_by_udev_net, plan_udev_net},
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
