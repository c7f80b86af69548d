// What programs of a guest do, as far as the plan can see it.
#include "base/error.hpp"
#include "base/text.hpp"
#include "fixup/facts_boot.hpp"
#include "tests/support/initramfs_programs.hpp"
#include "tests/support/memory_guest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

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

std::string legacy_sector() {
    std::string sector = boot_sector();
    sector.replace(0x3E, 2, "\x03\x02");
    sector[0x43] = '\x20'; // stage 1.5 to 0x2000
    sector[0x44] = '\x01';
    sector[0x5C] = '\0';
    return sector;
}

std::string core_image() {
    std::string core(2000, '\0');
    for (std::size_t i = 0; i < core.size(); ++i) {
        core[i] = static_cast<char>(i * 7 % 251);
    }
    return core;
}

std::string& bytes_of(MemoryGuest& guest, unsigned disk) {
    return disk == 0 ? guest.disk : guest.other_disks.at(disk - 1);
}

/// The disk that a command names last, which is the one with the longest name in it.
unsigned disk_in(const MemoryGuest& guest, const std::string& line) {
    unsigned found = 0;
    for (unsigned disk = 0; disk < guest.disk_count(); ++disk) {
        found = line.find(guest.disk_name(disk)) != std::string::npos ? disk : found;
    }
    return found;
}

void put_at(std::string& disk, std::uint64_t at, const std::string& bytes) {
    disk.resize(std::max<std::size_t>(disk.size(), at + bytes.size()));
    disk.replace(at, bytes.size(), bytes);
}

/// Replaces the code of the first sector, and not the partition table.
void put_code(std::string& disk, std::uint64_t at, const std::string& sector) {
    put_at(disk, at, sector.substr(0, 440));
    put_at(disk, at + 510, "\x55\xaa");
}

void install_grub2(MemoryGuest& guest, const std::string& directory, unsigned disk) {
    const std::string path = directory + "/i386-pc/core.img";
    if (guest.status(path).kind == FileKind::absent) {
        guest.put(path, core_image());
    }
    std::uint64_t at = 512;
    for (const GuestVolume& volume : guest.identity.volumes) {
        if (volume.disk == disk && volume.partition_type == bios_boot_type) {
            at = volume.start;
        }
    }
    std::string sector = boot_sector();
    sector[0x5C] = static_cast<char>(at / 512 & 0xff);
    sector[0x5D] = static_cast<char>(at / 512 >> 8U & 0xff);
    put_code(bytes_of(guest, disk), 0, sector);
    put_at(bytes_of(guest, disk), at, guest.read(path, 1 << 20));
}

void install_legacy(MemoryGuest& guest, unsigned disk) {
    put_code(bytes_of(guest, disk), 0, legacy_sector());
    std::string stage = guest.read("/boot/grub/e2fs_stage1_5", 1 << 20);
    stage.replace(0x1F8, 4, std::string("\x02\0\0\0", 4));
    stage.replace(0x208, 4, std::string("\xff\xff\0\0", 4));
    put_at(bytes_of(guest, disk), 512, stage);
}

/// The same in the boot sector of the first partition, with a block list to stage 2 in it.
void install_legacy_in_partition(MemoryGuest& guest, unsigned disk, std::uint64_t start) {
    std::string sector = legacy_sector();
    sector[0x43] = '\x80';
    sector[0x44] = static_cast<char>(start / 512 + 8);
    put_code(bytes_of(guest, disk), start, sector);
    put_at(bytes_of(guest, disk), start + 8 * 512, guest.read("/boot/grub/stage2", 1 << 20));
    put_code(bytes_of(guest, disk), 0, "generic code" + std::string(428, '\0'));
}

/// The primary partitions of a disk, the first one active.
void put_table(MemoryGuest& guest, unsigned disk) {
    for (const GuestVolume& volume : guest.identity.volumes) {
        if (volume.disk != disk || !volume.partition || *volume.partition > 4 ||
            volume.start == 0) {
            continue;
        }
        std::string entry(16, '\0');
        entry[0] = *volume.partition == 1 ? '\x80' : '\0';
        entry[4] = '\x83';
        for (unsigned i = 0; i < 4; ++i) {
            entry[8 + i] = static_cast<char>(volume.start / 512 >> (8 * i) & 0xff);
        }
        put_at(bytes_of(guest, disk), 0x1BE + 16 * (*volume.partition - 1), entry);
    }
}

void put_loader(MemoryGuest& guest, unsigned disk, const std::string& loader) {
    std::string& bytes = bytes_of(guest, disk);
    if (loader == "grub2" || loader == "grub2-stale") {
        const bool second = guest.status("/boot/grub2").kind == FileKind::directory;
        install_grub2(guest, second ? "/boot/grub2" : "/boot/grub", disk);
        if (loader == "grub2-stale") {
            const std::string sector = bytes.substr(0, 512);
            bytes.assign(bytes.size(), 'x');
            bytes.replace(0, 512, sector);
        }
    } else if (loader == "grub-legacy") {
        put_legacy_stages(guest);
        install_legacy(guest, disk);
    } else if (loader == "grub-legacy-active") {
        put_legacy_stages(guest);
        install_legacy_in_partition(guest, disk, 63 * 512);
    } else if (loader == "lilo") {
        put_code(bytes, 0, std::string(6, '\0') + "LILO" + std::string(430, '\0'));
    } else if (loader == "other") {
        put_code(bytes, 0, std::string(440, 'x'));
    } else if (loader != "empty") {
        throw Error(fmt::format("'{}' is not a boot sector of the corpus", loader));
    }
}

/// A listing as lsinitramfs prints it; the image of this guest is simply its listing.
CommandOutput list_initrd(MemoryGuest& guest, const std::string& line) {
    const std::size_t begin = line.find('\'') + 1;
    const std::string path = line.substr(begin, line.find('\'', begin) - begin);
    return {0, guest.read(path, 1 << 20)};
}

/// grep -rIlFi -e WORD... DIRECTORY...
CommandOutput grep_files(const MemoryGuest& guest, const std::string& line) {
    const auto lower = [](std::string text) {
        std::ranges::transform(text, text.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        return text;
    };
    std::string listing;
    for (const auto& [path, node] : guest.nodes) {
        bool found = false;
        for (std::size_t at = line.find(" -e "); at != std::string::npos;
             at = line.find(" -e ", at + 1)) {
            const std::string word = line.substr(at + 4, line.find(' ', at + 4) - at - 4);
            found = found || lower(node.content).find(word) != std::string::npos;
        }
        const bool below = path.starts_with("/etc/") || path.starts_with("/var/lib/iscsi/");
        listing += found && below && node.kind == FileKind::file ? path + "\n" : "";
    }
    return {0, listing};
}

CommandOutput debian_shell(MemoryGuest& guest, const std::string& line) {
    if (line.starts_with("grep -rIlFi")) {
        return grep_files(guest, line);
    }
    if (line.starts_with("lsinitramfs")) {
        return list_initrd(guest, line);
    }
    if (line.starts_with("update-initramfs")) {
        return run_initramfs_program(guest, line);
    }
    if (line.starts_with("grub-install") || line.starts_with("grub2-install")) {
        install_grub2(guest, line.starts_with("grub2") ? "/boot/grub2" : "/boot/grub",
                      disk_in(guest, line));
        return {0, "Installation finished. No error reported.\n"};
    }
    if (line.find("--device-map=/dev/null") != std::string::npos) {
        install_legacy(guest, disk_in(guest, line));
        return {0, "Done.\n"};
    }
    if (line.starts_with("touch -d")) {
        return {0, ""};
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

CommandOutput simulated_shell(MemoryGuest& guest, const std::string& line) {
    if (line.starts_with("lsinitrd")) {
        return list_initrd(guest, line);
    }
    for (const char* program : {"dracut", "mkinitrd", "update-initramfs"}) {
        if (line.find(program) != std::string::npos) {
            return run_initramfs_program(guest, line);
        }
    }
    return debian_shell(guest, line);
}

} // namespace

void put_legacy_stages(MemoryGuest& guest) {
    for (const auto& [name, size] :
         {std::pair("stage1", 512), std::pair("stage2", 9000), std::pair("e2fs_stage1_5", 7508)}) {
        const std::string path = fmt::format("/boot/grub/{}", name);
        if (guest.status(path).kind == FileKind::absent) {
            std::string stage =
                core_image() + core_image() + core_image() + core_image() + core_image();
            stage[0] = name[0];
            stage.resize(static_cast<std::size_t>(size));
            guest.put(path, stage);
        }
    }
}

void use_simulated_shell(MemoryGuest& guest, const std::vector<std::string>& boot_sectors) {
    guest.disk.assign(4096, '\0');
    guest.other_disks.assign(boot_sectors.size() - 1, std::string(4096, '\0'));
    for (unsigned disk = 0; disk < boot_sectors.size(); ++disk) {
        put_table(guest, disk);
        put_loader(guest, disk, boot_sectors[disk]);
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
