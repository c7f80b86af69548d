#include "fixup/disk_tables.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

const GuestSystem disk{
    .tables = {"msdos"},
    .volumes = {{.device = "a",
                 .disk = 0,
                 .partition = 1,
                 .format = "ext4",
                 .uuid = "1",
                 .mount_point = "/"},
                {.device = "b", .disk = 0, .partition = 2, .format = "swap", .uuid = "2"},
                {.device = "c", .disk = 0, .partition = 3, .format = "crypto_LUKS", .uuid = "3"}}};

const GuestSystem open_disk{.tables = disk.tables,
                            .volumes = {disk.volumes[0],
                                        disk.volumes[1],
                                        {.device = "/dev/vg/x", .format = "xfs", .uuid = "4"}}};

TableRewrite fstab(const char* text, const GuestSystem& system = disk, const char* root = "") {
    return rewrite_fstab(text, "data UUID=3 none luks\n", {system, {}, root}, system);
}

TableRewrite crypttab(const char* text, const char* root) {
    return rewrite_crypttab(text, root, {disk, {}, ""}, disk, InitramfsOption::add);
}

} // namespace

TEST_CASE("the first column of fstab becomes a UUID, and nothing else changes") {
    const TableRewrite rewrite = fstab("# /dev/hda1 was it\r\n /dev/hda1\t/ ext3 ro 0 1\r\n"
                                       "/dev/hda2 none swap sw 0 0");
    CHECK(rewrite.after == "# /dev/hda1 was it\r\n UUID=1\t/ ext3 ro 0 1\r\n"
                           "UUID=2 none swap sw 0 0");
    CHECK(rewrite.changed == 2);
    CHECK(rewrite.warnings.empty());
    CHECK(rewrite.obstacles.empty());
    CHECK(fstab(rewrite.after.c_str()).changed == 0);
}

TEST_CASE("what is not mounted at boot stays as it is") {
    for (const char* line : {"/dev/hda1 /mnt ext4 noauto 0 0\n", "/dev/hdc /cd iso9660 ro 0 0\n",
                             "/dev/sdb1 /usb auto noauto,user\n", "/dev/hda1 x\n"}) {
        CAPTURE(line);
        const TableRewrite rewrite = fstab(line);
        CHECK(rewrite.after == line);
        CHECK(rewrite.warnings.empty());
        CHECK(rewrite.obstacles.empty());
    }
}

TEST_CASE("a line of the system that cannot be named is an obstacle") {
    const TableRewrite rewrite = fstab("/dev/nvme0n1p9 /var ext4 defaults 0 2\n");
    REQUIRE(rewrite.obstacles.size() == 1);
    CHECK(rewrite.obstacles[0] == "/etc/fstab:1: /dev/nvme0n1p9: names a disk of the server, and "
                                  "it is not certain which volume of the copy that is");
    CHECK(fstab("/dev/hda2 / ext4 defaults 0 1\n").obstacles.size() == 1); // it is swap space
    CHECK(fstab("/dev/nvme0n1p9 /x ext4 nofail 0 2\n").obstacles.empty());
    CHECK(fstab("/dev/nvme0n1p9 none swap sw 0 0\n").warnings.size() == 1);
}

TEST_CASE("a volume that was not cloned is a warning with advice") {
    const TableRewrite rewrite = fstab("UUID=9 /srv xfs defaults 0 0\nUUID=9 /x xfs nofail 0 0\n"
                                       "/dev/vg/y /y xfs defaults\n/dev/mapper/vg-x /z xfs ro\n"
                                       "/dev/mapper/data /d xfs ro\n/dev/sdb1 /b xfs ro\n",
                                       open_disk);
    REQUIRE(rewrite.warnings.size() == 3);
    CHECK(
        rewrite.warnings[0] ==
        "/etc/fstab:1: UUID=9: is not in the copy: systemd waits 90 seconds for it and then stops "
        "in the emergency shell, without a network; add nofail,x-systemd.device-timeout=10 to its "
        "options (on the server, or at the VM's console), or clone its disk too");
    CHECK(rewrite.warnings[1].starts_with("/etc/fstab:3: /dev/vg/y: is not"));
    CHECK(rewrite.warnings[2].starts_with("/etc/fstab:6: /dev/sdb1: is not"));
    CHECK(rewrite.changed == 0);
}

TEST_CASE("the name that the root had is kept where other names remain") {
    const TableRewrite rewrite =
        fstab("/dev/sdb1 / ext4 ro 0 1\n/dev/sda1 /data ext4 nofail 0 2", disk, "/dev/sdb1");
    CHECK(rewrite.after == "UUID=1 / ext4 ro 0 1\n/dev/sda1 /data ext4 nofail 0 2\n"
                           "# coldspare fixup: / was /dev/sdb1\n");
    CHECK(fstab(rewrite.after.c_str(), disk, "/dev/sdb1").after == rewrite.after);
}

TEST_CASE("crypttab gets UUIDs, and Debian's initramfs is told of the root") {
    CHECK(crypttab("root /dev/nvme0n1p3 none luks\n", "/dev/mapper/root").after ==
          "root UUID=3 none luks,initramfs\n");
    CHECK(crypttab("root UUID=3\n", "/dev/mapper/root").after == "root UUID=3 none initramfs\n");
    CHECK(crypttab("root UUID=3 none", "/dev/mapper/root").after == "root UUID=3 none initramfs");
    CHECK(crypttab("x UUID=3 none luks\n", "/dev/mapper/vg-root").after ==
          "x UUID=3 none luks,initramfs\n");
    CHECK(crypttab("x UUID=3 none luks\ny UUID=3 none luks\n", "/dev/mapper/vg-root").changed == 0);
    CHECK(crypttab("x UUID=3 /etc/keys/x luks\n", "/dev/mapper/vg-root").changed == 0);
    CHECK(crypttab("x UUID=3 none luks\n", "UUID=1").changed == 0);
    const GuestSystem plain{.volumes = {{.device = "a", .disk = 0, .format = "LVM2_member"}}};
    CHECK(rewrite_crypttab("x UUID=3 none luks\n", "/dev/vg/root", {plain, {}, ""}, plain,
                           InitramfsOption::add)
              .changed == 0);
}

TEST_CASE("a chip of the server opens nothing in the VM") {
    const TableRewrite rewrite = crypttab("x UUID=3 none tpm2-device=auto\n", "UUID=1");
    REQUIRE(rewrite.warnings.size() == 1);
    CHECK(rewrite.warnings[0].starts_with("/etc/crypttab:1: x: is opened by a chip"));
}

TEST_CASE("a volume on the network never becomes a partition of the copy") {
    constexpr const char* text =
        "UUID=1 / ext4 defaults 0 1\n"
        "/dev/disk/by-path/ip-192.0.2.1:3260-iscsi-iqn.x:mail-lun-0-part1 /mail ext4 _netdev 0 0\n"
        "/dev/disk/by-path/ip-192.0.2.1:3260-iscsi-iqn.x:mail-lun-0-part1 /mail2 ext4 nofail 0 0\n"
        "/dev/mapper/mpatha1 /data ext4 _netdev 0 0\n"
        "/dev/cciss/c1d0p1 /more ext4 nofail 0 2\n"
        "/dev/sda1 /again ext4 nofail 0 2\n";
    const TableRewrite rewrite = fstab(text);
    CHECK(rewrite.after == text);
    CHECK(rewrite.changed == 0);
    CHECK(rewrite.obstacles.empty());
}

TEST_CASE("a data volume that cannot be named is a warning, not an obstacle") {
    const TableRewrite rewrite = fstab("UUID=1 / ext4 ro 0 1\n/dev/nvme1n1 /data xfs ro 0 0\n"
                                       "/dev/mapper/mpatha /san xfs ro 0 0\n");
    CHECK(rewrite.obstacles.empty());
    CHECK(rewrite.warnings.size() == 2);
}

TEST_CASE("what crypttab makes anew with each start is not led to another volume") {
    constexpr const char* text = "cswap /dev/nvme0n1p1 /dev/urandom swap\n";
    CHECK(crypttab(text, "UUID=1").after == text);
}
