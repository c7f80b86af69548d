#pragma once

#include <map>
#include <string>
#include <string_view>

namespace coldspare::fixup {

/// What a boot loader reads to know what it starts; empty where a file is absent.
struct BootMenu {
    std::string grub_config;      ///< grub.cfg
    std::string grub_environment; ///< grubenv beside it
    std::string legacy_menu;      ///< menu.lst or grub.conf of GRUB 0.97
    std::string legacy_saved;     ///< its file "default"
    /// Of the Boot Loader Specification: /boot/loader/entries/NAME.conf by NAME.
    std::map<std::string, std::string> entries;
};

/// The version of the kernel that starts when nobody touches the keyboard; empty if the menus do
/// not say it (the newest one, then).
[[nodiscard]] std::string default_kernel(const BootMenu& menu);

/// The version in the path of a kernel ("/boot/vmlinuz-6.1", "/MACHINE/6.1/linux"), or empty.
[[nodiscard]] std::string kernel_version_in(std::string_view path);

/// The words behind `key` in an entry of the Boot Loader Specification, or empty.
[[nodiscard]] std::string entry_field(std::string_view entry, std::string_view key);

} // namespace coldspare::fixup
