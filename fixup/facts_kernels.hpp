#pragma once

#include "fixup/guest.hpp"
#include "fixup/initramfs_image.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// A line of modules.dep.
struct KernelModule {
    std::string path;               ///< below /lib/modules/VERSION: "kernel/fs/ext4/ext4.ko.xz"
    std::vector<std::string> needs; ///< names, '_' for '-'
    friend bool operator==(const KernelModule&, const KernelModule&) = default;
};

/// A kernel with its initramfs.
struct KernelFacts {
    std::string version;
    std::string image;  ///< path of the kernel
    std::string initrd; ///< path of its initramfs, empty if there is none
    std::uint64_t initrd_bytes = 0;
    std::set<std::string>
        builtin; ///< modules.builtin, and what its configuration says; '_' for '-'
    std::set<std::string> loadable; ///< all that modules.dep lists
    std::set<std::string> in_initrd;
    std::string unreadable; ///< why the initramfs could not be listed, or empty
    std::map<std::string, KernelModule> modules; ///< modules.dep, by name
    /// The initramfs as we read it ourselves; nothing if it is of a form that only its own program
    /// reads.
    std::optional<InitramfsImage> content;
    /// Files below /lib/modules/VERSION that an archive behind the initramfs needs: filled where
    /// one may be appended.
    std::map<std::string, std::string> module_files;
};

/// The program that makes an initramfs.
enum class InitramfsBuilder {
    none,
    initramfs_tools, ///< Debian, Ubuntu, UCS
    dracut,          ///< RHEL from 6 on, SLES from 12 on
    suse_mkinitrd,   ///< SLES up to 11
    redhat_mkinitrd, ///< RHEL up to 5
};

/// How the guest builds its initramfs.
struct InitramfsFacts {
    InitramfsBuilder builder = InitramfsBuilder::none;
    std::string mode; ///< initramfs-tools: the effective MODULES=: "most", "dep", "list", "netboot"
    std::string personality; ///< what a program of 32 bits is started with, with a blank, or empty
};

/// All kernels of the copy.
struct KernelList {
    std::vector<KernelFacts> kernels;  ///< the one that starts by default, then newest first
    std::vector<std::string> left_out; ///< versions in /boot without /lib/modules, beside others
    std::vector<std::string> rescue;   ///< images of rescue systems, which nothing is done to
};

/// Finds them in every layout: /boot/initrd.img-V, initramfs-V.img, initrd-V, initrd-V.img,
/// MACHINE/V/initrd. Blocks for seconds where an initramfs has a form that only the copy reads.
[[nodiscard]] KernelList gather_kernels(Guest& guest, bool runs_programs);
[[nodiscard]] InitramfsFacts gather_initramfs(Guest& guest);

/// Reads into `kernel` what an appended archive with `drivers` would hold: them, what they need and
/// is not in the initramfs, and the lists of all modules. Throws Error.
void gather_module_files(Guest& guest, KernelFacts& kernel, const std::set<std::string>& drivers);

/// Parts of it, apart for tests.
/// The module names in a listing of lsinitramfs, or in modules.dep or modules.builtin.
[[nodiscard]] std::set<std::string> module_names(std::string_view listing);
/// The name of the module in a file, with '_' for '-'; empty if it is none.
[[nodiscard]] std::string module_name(std::string_view path);
/// modules.dep, also of the time when its paths began with "/lib/modules/VERSION/".
[[nodiscard]] std::map<std::string, KernelModule> parse_modules_dep(std::string_view text,
                                                                    std::string_view version);
/// Of /boot/config-VERSION, the drivers of disks and networks that are built in: kernels before
/// 2.6.33 have no modules.builtin.
[[nodiscard]] std::set<std::string> builtin_by_config(std::string_view config);
/// `names` and all that they need, as far as it is a module.
[[nodiscard]] std::set<std::string> with_dependencies(const KernelFacts& kernel,
                                                      const std::set<std::string>& names);
/// The effective MODULES= setting of initramfs.conf and conf.d, read one after the other.
[[nodiscard]] std::string modules_setting(std::string_view configuration);
/// Whether version `a` is older than `b`: numbers count as numbers, as Debian sorts kernels.
[[nodiscard]] bool older_version(std::string_view a, std::string_view b);

} // namespace coldspare::fixup
