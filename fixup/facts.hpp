#pragma once

#include "base/inventory.hpp"
#include "fixup/facts_boot.hpp"
#include "fixup/file_tree.hpp"
#include "fixup/guest.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace coldspare::fixup {

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

/// All that the plan is made from.
struct Facts {
    GuestSystem system;
    std::vector<std::string> disk_names; ///< Guest::disk_name() of each
    FileTree files;                      ///< what the fixes asked for
    std::optional<Inventory> inventory;  ///< of the server while it ran, if it is known
    bool rules_directory = false;        ///< /etc/udev/rules.d
    std::vector<KernelFacts> kernels;    ///< newest first
    std::vector<std::string> left_out;   ///< versions in /boot without /lib/modules, beside others
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

} // namespace coldspare::fixup
