#include "fixup/fixes.hpp"

#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::array<Fix, 3> table{{
    {"udev-persistent-net", "the network cards of the VM get the names that the system knows",
     plan_udev_net},
    {"initramfs-virtio", "the initramfs knows the VM's disk, and the new names", plan_initramfs},
    {"grub-bios", "the disk starts GRUB 2 from a BIOS", plan_grub_bios},
}};

} // namespace

std::span<const Fix> fixes() {
    return table;
}

} // namespace coldspare::fixup
