#pragma once

#include "base/inventory.hpp"
#include "fixup/facts_boot.hpp"
#include "fixup/facts_kernels.hpp"
#include "fixup/file_tree.hpp"
#include "fixup/guest.hpp"
#include "fixup/wishes.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// All that the plan is made from.
struct Facts {
    GuestSystem system;
    std::vector<std::string> disk_names; ///< Guest::disk_name() of each
    FileTree files;                      ///< what the fixes asked for
    std::optional<Inventory> inventory;  ///< of the server while it ran, if it is known
    bool rules_directory = false;        ///< /etc/udev/rules.d
    std::vector<KernelFacts> kernels;    ///< the one that starts by default, then newest first
    std::vector<std::string> left_out;   ///< versions in /boot without /lib/modules, beside others
    std::vector<std::string> rescue;     ///< images of rescue systems, which nothing is done to
    InitramfsFacts initramfs;
    BootFacts boot;
    std::uint64_t boot_free = 0; ///< bytes
    std::uint64_t root_free = 0;
};

/// Collects the facts; reads only. Blocks, for seconds under emulation. The files that an archive
/// behind the initramfs would hold are read if `way` wants one or nothing else is possible.
[[nodiscard]] Facts gather_facts(Guest& guest,
                                 const std::optional<Inventory>& inventory = std::nullopt,
                                 InitramfsWay way = InitramfsWay::rebuild);

} // namespace coldspare::fixup
