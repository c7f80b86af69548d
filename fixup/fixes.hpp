#pragma once

#include "fixup/plan.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// One kind of repair: `fix_*.cpp`, and a row in fixes.cpp.
struct Fix {
    std::string_view id;
    std::string_view purpose;                ///< one line for a person
    std::span<const std::string_view> reads; ///< patterns of read_files()
    FixPlan (*plan)(const PlanInput& input);
};

/// All fixes in the order in which they are planned and applied: the names of network cards first,
/// because the initramfs carries a copy of them; the boot loader last.
[[nodiscard]] std::span<const Fix> fixes();

/// The patterns of all of them.
[[nodiscard]] std::vector<std::string_view> files_to_read();

/// Names of the VM's network cards in the rules of udev.
[[nodiscard]] FixPlan plan_udev_net(const PlanInput& input);
/// Addresses of the VM's cards in the network configuration of every family.
[[nodiscard]] FixPlan plan_network_config(const PlanInput& input);
/// Names that nothing else gives: a .link file, a rule, or both, as the copy's systemd needs it
/// (fixup/pinning.hpp). After the two above, so that nothing is pinned twice.
[[nodiscard]] FixPlan plan_name_pinning(const PlanInput& input);
/// Services that do not start before the runbook says so.
[[nodiscard]] FixPlan plan_holds(const PlanInput& input);
/// An iSCSI name of its own, and no login at boot.
[[nodiscard]] FixPlan plan_initiator(const PlanInput& input);
/// /etc/coldspare-standby.json, if anything else is planned.
[[nodiscard]] FixPlan plan_marker(const PlanInput& input);
/// virtio drivers in the initramfs, and a fresh copy of the names.
[[nodiscard]] FixPlan plan_initramfs(const PlanInput& input);
/// GRUB 2 in the boot sector of a BIOS machine.
[[nodiscard]] FixPlan plan_grub_bios(const PlanInput& input);
/// GRUB 0.97 there.
[[nodiscard]] FixPlan plan_grub_legacy(const PlanInput& input);
/// A boot loader where a UEFI firmware looks that remembers no boot entry.
[[nodiscard]] FixPlan plan_uefi_fallback(const PlanInput& input);

} // namespace coldspare::fixup
