#include "fixup/facts.hpp"

#include "fixup/rules_files.hpp"

#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

TEST_CASE("module names are found in every kind of listing, with one spelling") {
    const std::set<std::string> names =
        module_names("usr/lib/modules/6.1/kernel/crc32c-intel.ko\nkernel/virtio_blk.ko.xz\n"
                     "a/b.ko.zst\nb.conf\nx.koala\n.ko\nusr/lib\n\n");
    CHECK(names == std::set<std::string>{"crc32c_intel", "virtio_blk", "b"});
}

TEST_CASE("the last MODULES setting counts, quoted or not") {
    CHECK(modules_setting("") == "most");
    CHECK(modules_setting("# MODULES=list\nMODULES=dep\n") == "dep");
    CHECK(modules_setting("MODULES=most\n MODULES=\"dep\" # host\n") == "dep");
    CHECK(modules_setting("MODULES='list'\n") == "list");
    CHECK(modules_setting("MODULES=\"dep") == "dep");
    CHECK(modules_setting("MODULES=\n").empty());
}

TEST_CASE("kernel versions are ordered by number") {
    CHECK(older_version("6.1.0-9-amd64", "6.1.0-10-amd64"));
    CHECK(older_version("2.6.32", "6.1"));
    CHECK(older_version("6.1", "6.1.1"));
    CHECK_FALSE(older_version("6.1.0-10-amd64", "6.1.0-9-amd64"));
    CHECK_FALSE(older_version("6.1", "6.1"));
    CHECK_FALSE(older_version("6.01", "6.1"));
    CHECK(older_version("", "1"));
}

TEST_CASE("disks named by device nodes are found where they matter") {
    const auto lines =
        device_name_lines("/etc/fstab", "# /dev/sda1 / ext4\n/dev/sda1 / ext4\n"
                                        "UUID=1 /home ext4\n\t/dev/hda2 none swap\n");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == "/etc/fstab:2: /dev/sda1 / ext4");
    CHECK(lines[1] == "/etc/fstab:4: /dev/hda2 none swap");
    CHECK(device_name_lines("g", "linux /vmlinuz root=/dev/sda1 ro\n").size() == 1);
    CHECK(device_name_lines("g", "linux /vmlinuz root=UUID=1 resume=/dev/sda2\n").size() == 1);
    CHECK(device_name_lines("g", "linux /vmlinuz root=/dev/mapper/vg-root\n").empty());
}

TEST_CASE("the facts of a Debian system are gathered without writing") {
    MemoryGuest guest = make_debian_guest();
    const auto before = guest.nodes;
    const Facts facts = gather_facts(guest);
    CHECK(guest.nodes == before);
    CHECK(facts.rules_directory);
    CHECK(facts.files.text(debian_rules_path) != nullptr);
    REQUIRE(facts.kernels.size() == 1);
    CHECK(facts.kernels[0].version == "6.1.0-1-amd64");
    CHECK(facts.kernels[0].in_initrd == std::set<std::string>{"ahci", "ext4", "sd_mod"});
    CHECK(facts.kernels[0].loadable.contains("virtio_blk"));
    CHECK_FALSE(facts.kernels[0].loadable.contains("other"));
    CHECK(facts.initramfs.update_initramfs);
    CHECK(facts.initramfs.mode == "dep");
    CHECK(facts.boot.grub_config);
    CHECK(facts.boot.disks.at(0).next == *facts.boot.core_image);
}

TEST_CASE("a conf.d file overrides initramfs.conf, and kernels come newest first") {
    MemoryGuest guest = make_debian_guest();
    guest.put("/etc/initramfs-tools/conf.d/driver-policy", "MODULES=most\n");
    guest.put("/boot/vmlinuz-6.1.0-12-amd64", "");
    guest.put_directory("/lib/modules/6.1.0-12-amd64");
    guest.put("/boot/vmlinuz-$(reboot)", "");
    guest.put("/boot/vmlinuz-6.1.0-2-amd64", "");
    guest.put_directory("/lib/modules/6.1.0-2-amd64");
    const Facts facts = gather_facts(guest);
    CHECK(facts.initramfs.mode == "most");
    REQUIRE(facts.kernels.size() == 3);
    CHECK(facts.kernels[0].version == "6.1.0-12-amd64");
    CHECK(facts.kernels[1].version == "6.1.0-2-amd64");
}

TEST_CASE("rules that are no ordinary files are seen and not read") {
    MemoryGuest guest = make_debian_guest();
    guest.put_directory("/etc/udev/rules.d/75-dir.rules");
    guest.put_link("/etc/udev/rules.d/76-off.rules", "/dev/null");
    guest.put("/etc/udev/rules.d/77-large.rules", std::string((std::size_t{1} << 20) + 1, '#'));
    guest.put("/etc/udev/rules.d/78-long.rules", std::string(30000, '\n'));
    guest.put("/etc/udev/rules.d/README", "not rules");
    const Facts facts = gather_facts(guest);
    CHECK(facts.files.in("/etc/udev/rules.d", ".rules").size() == 5);
    CHECK(readable_rules(facts.files).size() == 1);
}

TEST_CASE("a kernel without modules is left out, unless there is no other") {
    MemoryGuest guest = make_debian_guest();
    guest.put("/boot/vmlinuz-6.1.0-1-amd64.bak", "");
    const Facts facts = gather_facts(guest);
    REQUIRE(facts.kernels.size() == 1);
    CHECK(facts.kernels[0].version == "6.1.0-1-amd64");
    CHECK(facts.left_out == std::vector<std::string>{"6.1.0-1-amd64.bak"});
    MemoryGuest bare;
    bare.put("/boot/vmlinuz-2.6.18-mine", "");
    CHECK(gather_facts(bare).kernels.size() == 1);
    CHECK(gather_facts(bare).left_out.empty());
}

TEST_CASE("what the system starts with and no VM has is told from what it can do without") {
    const auto lost_in = [](const char* path, const char* text) {
        return lost_device_lines(path, text).size();
    };
    const char* fstab = "/etc/fstab";
    CHECK(lost_device_lines(fstab, "# x\n/dev/nvme0n1p2 / ext4 defaults 0 1\n") ==
          std::vector<std::string>{"/etc/fstab:2: /dev/nvme0n1p2 / ext4 defaults 0 1"});
    CHECK(lost_in(fstab, "/dev/disk/by-path/pci-0-ata-1-part1 /boot ext4 defaults 0 2\n") == 1);
    CHECK(lost_in(fstab, "/dev/hdc /media/cdrom auto ro,noauto 0 0\n") == 0);
    CHECK(lost_in(fstab, "/dev/hda5 none swap sw 0 0\n/dev/cciss/c0d0p9 /x ext4 nofail 0 0\n") ==
          0);
    CHECK(lost_in(fstab, "/dev/sda1 / ext4 defaults 0 1\n#/dev/hda1 / ext3 defaults 0 1\n") == 0);
    const char* grub = "/boot/grub/grub.cfg";
    CHECK(lost_in(grub, "\tlinux\t/vmlinuz root=/dev/cciss/c0d0p1 ro\n") == 1);
    CHECK(lost_in(grub, "linux /v root=UUID=1\nlinux /w root=/dev/nvme0n1p5\n") == 0);
    CHECK(lost_in("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"root=/dev/hda1\"\n") == 0);
}
