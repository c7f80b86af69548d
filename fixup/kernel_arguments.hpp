#pragma once

#include "fixup/file_tree.hpp"
#include "fixup/text_edit.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Where the arguments of the kernel's command line stand, in the files of every boot loader.
namespace coldspare::fixup {

/// How a file holds them.
enum class ArgumentSyntax {
    grub2,   ///< grub.cfg: lines that begin with linux, linux16 or linuxefi
    bls,     ///< /boot/loader/entries/*.conf: lines that begin with options
    grubenv, ///< kernelopts=..., in a block of 1024 bytes that is filled with '#'
    shell,   ///< /etc/default/grub, /etc/sysconfig/bootloader: NAME="..."
    plain,   ///< /etc/kernel/cmdline: nothing else
    grub1,   ///< menu.lst, grub.conf: lines that begin with kernel, and Debian's "# kopt="
    lilo,    ///< lilo.conf: root=, append="..."; can be read, but the boot loader has its own copy
};

/// One argument. `piece` is without quotes around it.
struct KernelArgument {
    Piece piece;
    unsigned line = 0;
    bool by_default = false; ///< on the first command line that boots: the one that is taken
    /// The part in front of '=', and what follows; no value without one.
    [[nodiscard]] std::string_view name() const;
    [[nodiscard]] Piece value() const;
};

/// A file that holds arguments.
struct ArgumentFile {
    std::string path;
    ArgumentSyntax syntax = ArgumentSyntax::plain;
    /// Of GRUB 0.97 or LILO, where GRUB 2 has a menu: such a system was upgraded, and nothing
    /// starts by what stands here.
    bool leftover = false;
};

/// What argument_files() looks at, in the language of read_files().
inline constexpr std::array<std::string_view, 32> argument_patterns{
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/efi/EFI/redhat/grub.cfg",
    "/boot/efi/EFI/centos/grub.cfg",
    "/boot/efi/EFI/rocky/grub.cfg",
    "/boot/efi/EFI/almalinux/grub.cfg",
    "/boot/efi/EFI/fedora/grub.cfg",
    "/boot/efi/EFI/sles/grub.cfg",
    "/boot/efi/EFI/opensuse/grub.cfg",
    "/boot/efi/EFI/debian/grub.cfg",
    "/boot/efi/EFI/ubuntu/grub.cfg",
    "/boot/efi/EFI/redhat/grub.conf",
    "/boot/loader/entries/*.conf",
    "/boot/efi/loader/entries/*.conf",
    "/efi/loader/entries/*.conf",
    "/boot/grub/grubenv",
    "/boot/grub2/grubenv",
    "/boot/efi/EFI/redhat/grubenv",
    "/boot/efi/EFI/centos/grubenv",
    "/boot/efi/EFI/rocky/grubenv",
    "/boot/efi/EFI/almalinux/grubenv",
    "/boot/efi/EFI/fedora/grubenv",
    "/boot/efi/EFI/sles/grubenv",
    "/boot/efi/EFI/opensuse/grubenv",
    "/etc/default/grub",
    "/etc/default/grub.d/*.cfg",
    "/etc/sysconfig/bootloader",
    "/etc/kernel/cmdline",
    "/boot/grub/menu.lst",
    "/boot/grub/grub.conf",
    "/etc/lilo.conf",
    "/etc/elilo.conf",
};

/// Those that are there and can be read, in a stable order.
[[nodiscard]] std::vector<ArgumentFile> argument_files(const FileTree& files);

/// All arguments in a text, in order. At most 10000.
[[nodiscard]] std::vector<KernelArgument> kernel_arguments(ArgumentSyntax syntax,
                                                           std::string_view text);

/// `text` with pieces of arguments replaced. Nothing if the result does not fit: the block of
/// grubenv has to keep its size, because GRUB writes to its sectors.
[[nodiscard]] std::optional<std::string> replace_arguments(ArgumentSyntax syntax,
                                                           std::string_view text,
                                                           std::vector<Replacement> replacements);

/// The part of an argument that is the name of a device: of root=, resume=, cryptdevice= and their
/// like. Nothing if the argument names none.
[[nodiscard]] std::optional<Piece> device_in(const KernelArgument& argument);

} // namespace coldspare::fixup
