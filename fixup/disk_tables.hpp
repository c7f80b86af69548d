#pragma once

#include "fixup/device_names.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// fstab and crypttab with names that a virtual machine has.
namespace coldspare::fixup {

/// A table as it should be.
struct TableRewrite {
    std::string after;
    unsigned changed = 0;               ///< names that became others
    std::vector<std::string> obstacles; ///< without these the system does not come up
    std::vector<std::string> warnings;  ///< "/etc/fstab:3: /dev/sdc1: ..."
};

/// The first column of fstab: names of hardware become UUID=. What is not mounted at boot stays. A
/// line whose volume is not in the copy is left, with a warning that says how to make the start go
/// on without it. Where names of hardware remain, a comment keeps the name that the root had, so
/// that the next run understands them as this one does.
[[nodiscard]] TableRewrite rewrite_fstab(std::string_view fstab, std::string_view crypttab,
                                         const DeviceNames& names, const GuestSystem& system);

/// What Debian's initramfs-tools needs to be told.
enum class InitramfsOption { leave, add };

/// The second column of crypttab likewise. With InitramfsOption::add the entry that the root file
/// system lies in gets the option `initramfs`: inside the appliance Debian's hook does not see that
/// it does, and would leave cryptsetup out. `root` is the device of the root file system.
[[nodiscard]] TableRewrite rewrite_crypttab(std::string_view crypttab, std::string_view root,
                                            const DeviceNames& names, const GuestSystem& system,
                                            InitramfsOption option);

} // namespace coldspare::fixup
