// What programs of a guest do, as far as the plan can see it.
#include "base/error.hpp"
#include "base/text.hpp"
#include "tests/support/memory_guest.hpp"

#include <fmt/format.h>

#include <set>

namespace coldspare::fixup {

namespace {

constexpr std::string_view version = "6.1.0-1-amd64";

std::string boot_sector() {
    using namespace std::string_view_literals;
    std::string sector(512, '\0');
    constexpr std::string_view words = "GRUB \0Geom\0Hard Disk\0Read\0 Error"sv;
    sector.replace(0x180, words.size(), words);
    sector[0x5C] = '\x01';
    sector.replace(510, 2, "\x55\xaa");
    return sector;
}

std::string core_image() {
    std::string core(2000, '\0');
    for (std::size_t i = 0; i < core.size(); ++i) {
        core[i] = static_cast<char>(i * 7 % 251);
    }
    return core;
}

/// A listing as lsinitramfs prints it; the image of this guest is simply its listing.
CommandOutput list_initrd(MemoryGuest& guest, const std::string& line) {
    const std::size_t begin = line.find('\'') + 1;
    const std::string path = line.substr(begin, line.find('\'', begin) - begin);
    return {0, guest.read(path, 1 << 20)};
}

/// What mkinitramfs does with its configuration: lines of `modules`, words of the hook.
CommandOutput rebuild_initrd(MemoryGuest& guest) {
    std::set<std::string> modules;
    const std::string file = guest.read("/etc/initramfs-tools/modules", 1 << 20);
    for (const std::string_view line : split_lines(file)) {
        if (!line.empty() && !line.starts_with('#')) {
            modules.insert(std::string(line));
        }
    }
    if (guest.status("/etc/initramfs-tools/hooks/zz-coldspare").kind == FileKind::file) {
        const std::string hook = guest.read("/etc/initramfs-tools/hooks/zz-coldspare", 1 << 20);
        std::size_t at = hook.find("manual_add_modules ") + 19;
        while (at < hook.size()) {
            const std::size_t end = hook.find_first_of(" \n", at);
            modules.insert(hook.substr(at, end - at));
            at = end + 1;
        }
    }
    std::string listing;
    for (const std::string& module : modules) {
        listing += fmt::format("usr/lib/modules/{}/kernel/{}.ko\n", version, module);
    }
    guest.write(fmt::format("/boot/initrd.img-{}", version), listing, 0644);
    return {0, "update-initramfs: Generating\n"};
}

CommandOutput debian_shell(MemoryGuest& guest, const std::string& line) {
    if (line.starts_with("lsinitramfs")) {
        return list_initrd(guest, line);
    }
    if (line.starts_with("update-initramfs")) {
        return rebuild_initrd(guest);
    }
    if (line.starts_with("grub-install")) {
        guest.disk = boot_sector() + guest.read("/boot/grub/i386-pc/core.img", 1 << 20);
        return {0, "Installation finished. No error reported.\n"};
    }
    if (line.starts_with("date")) {
        return {0, "1700000000\n"};
    }
    if (line.starts_with("find /") || line.starts_with("find '")) {
        return {0, "/boot/initrd.img-6.1.0-1-amd64\n/etc/udev/rules.d/70-persistent-net.rules\n"};
    }
    if (line.starts_with("for d in")) {
        return {0, "/boot\n/etc\n"};
    }
    return {127, "sh: not found\n"};
}

/// Any program of another family that builds an initramfs: all that the old one had, and virtio.
CommandOutput rebuild_any(MemoryGuest& guest, const std::string& line) {
    for (auto& [path, node] : guest.nodes) {
        const bool named =
            path.starts_with("/boot/initr") && node.content.find("/modules/") != std::string::npos;
        const std::size_t at = node.content.find("/modules/") + 9;
        const std::string its =
            named ? node.content.substr(at, node.content.find('/', at) - at) : "";
        if (named && line.find(its) != std::string::npos) {
            for (const char* module : {"virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net"}) {
                node.content += fmt::format("usr/lib/modules/{}/kernel/{}.ko\n", its, module);
            }
        }
    }
    return {0, "built\n"};
}

CommandOutput simulated_shell(MemoryGuest& guest, const std::string& line) {
    if (line.starts_with("lsinitrd")) {
        return list_initrd(guest, line);
    }
    for (const char* program : {"dracut", "mkinitrd", "update-initramfs"}) {
        if (line.find(program) != std::string::npos) {
            return rebuild_any(guest, line);
        }
    }
    return debian_shell(guest, line);
}

} // namespace

void use_simulated_shell(MemoryGuest& guest, const std::string& loader) {
    guest.disk.assign(4096, '\0');
    if (loader == "grub2") {
        if (guest.status("/boot/grub/i386-pc/core.img").kind == FileKind::absent) {
            guest.put("/boot/grub/i386-pc/core.img", core_image());
        }
        guest.disk = boot_sector() + guest.read("/boot/grub/i386-pc/core.img", 1 << 20);
    } else if (loader == "grub-legacy") {
        guest.disk.replace(0x180, 5, "GRUB ");
        guest.disk.replace(510, 2, "\x55\xaa");
    } else if (loader == "lilo") {
        guest.disk.replace(6, 4, "LILO");
        guest.disk.replace(510, 2, "\x55\xaa");
    } else if (loader != "empty") {
        throw Error(fmt::format("'{}' is not a boot sector of the corpus", loader));
    }
    guest.shell = simulated_shell;
}

MemoryGuest make_debian_guest() {
    MemoryGuest guest;
    guest.put(debian_rules_path,
              "# PCI device 0x8086:0x10d3 (e1000e)\n"
              "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
              "ATTR{address}==\"00:1e:67:aa:bb:cc\", ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", "
              "KERNEL==\"eth*\", NAME=\"eth0\"\n");
    guest.put(fmt::format("/boot/vmlinuz-{}", version), "kernel");
    std::string initrd;
    std::string dependencies;
    for (const char* module : {"ahci", "sd_mod", "ext4"}) {
        initrd += fmt::format("usr/lib/modules/{}/kernel/{}.ko\n", version, module);
    }
    for (const char* module :
         {"ahci", "sd_mod", "ext4", "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net"}) {
        dependencies += fmt::format("kernel/{}.ko: kernel/other.ko\n", module);
    }
    guest.put(fmt::format("/boot/initrd.img-{}", version), initrd);
    guest.put(fmt::format("/lib/modules/{}/modules.dep", version), dependencies);
    guest.put(fmt::format("/lib/modules/{}/modules.builtin", version), "kernel/fs/proc/proc.ko\n");
    guest.put("/usr/sbin/update-initramfs", "", 0755);
    guest.put("/usr/bin/lsinitramfs", "", 0755);
    guest.put("/etc/initramfs-tools/initramfs.conf", "MODULES=dep\n");
    guest.put("/etc/initramfs-tools/modules", "# my modules\next4\n");
    guest.put_directory("/etc/initramfs-tools/conf.d");
    guest.put_directory("/etc/initramfs-tools/hooks");
    guest.put("/boot/grub/grub.cfg", "linux /vmlinuz root=UUID=1 ro\n");
    guest.put("/boot/grub/i386-pc/core.img", core_image());
    guest.put("/usr/sbin/grub-install", "", 0755);
    guest.put("/usr/lib/grub/i386-pc/kernel.img", "");
    guest.put("/etc/fstab", "UUID=1 / ext4 defaults 0 1\n");
    guest.disk = boot_sector() + core_image();
    guest.shell = debian_shell;
    return guest;
}

} // namespace coldspare::fixup
