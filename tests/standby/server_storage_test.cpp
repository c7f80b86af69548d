#include "standby/server_storage.hpp"

#include <doctest/doctest.h>

namespace coldspare::standby {

namespace {

using Names = std::vector<std::string>;

/// Of a machine whose fstab is `fstab`, with LVM on an array, and multipath to iSCSI.
ServerStorage storage_with(const std::string& fstab) {
    return storage_of(
        {.boot_disk = "/dev/sda",
         .disks = {{.name = "/dev/nvme0n1", .by_id = {"nvme-x"}},
                   {.name = "/dev/sda"},
                   {.name = "/dev/sdb"},
                   {.name = "/dev/sdc", .wwn = "naa.1"},
                   {.name = "/dev/sdd", .wwn = "naa.1"},
                   {.name = "/dev/sde", .by_path = {"ip-192.0.2.50:3260-iscsi-iqn.x:y-lun-0"}},
                   {.name = "/dev/sdaa"}},
         .file_systems = {{"/dev/mapper/vg0-srv--x", "ext4", "u1", "srv", ""},
                          {"/dev/mapper/mpatha-part1", "xfs", "u2", "", "pu2"},
                          {"/dev/nvme0n1p1", "ext4", "u3", "", ""},
                          {"/dev/sde", "ext4", "u4", "", ""}},
         .mapped = {{"vg0-srv--x", "LVM-x", {"md0"}},
                    {"mpatha-part1", "part1-mpath-1", {"mapper/mpatha"}},
                    {"mpatha", "mpath-1", {"sdc", "sdd"}},
                    {"loop", "x", {"mapper/loop"}}},
         .iscsi_sessions = {{.target = "iqn.a:b", .portal = "h:1", .disks = {"/dev/sdd"}}},
         .fstab = fstab,
         .mdstat = "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n"});
}

} // namespace

TEST_CASE("fstab is read with its blanks and comments") {
    const std::vector<FstabEntry> entries = parse_fstab(
        "# x y z\nUUID=1\t/a\\040b\\0 ext4 ro,_netdev 0 1\nshort line\nLABEL=x none swap\n");
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].device == "UUID=1");
    CHECK(entries[0].point == "/a b\\0");
    CHECK(entries[0].options == Names{"ro", "_netdev"});
    CHECK(entries[1].type == "swap");
    CHECK(entries[1].options.empty());
}

TEST_CASE("what fstab needs is found through LVM, arrays and links") {
    for (const char* device : {"/dev/mapper/vg0-srv--x", "/dev/vg0/srv-x", "LABEL=srv",
                               "LABEL=\"srv\"", "/dev/disk/by-uuid/u1", "UUID=u1", "/dev/md0"}) {
        CAPTURE(device);
        CHECK(storage_with(std::string(device) + " /srv ext4").system_disks ==
              Names{"/dev/sda", "/dev/sdb"});
    }
    CHECK(storage_with("/dev/disk/by-id/nvme-x-part1 /srv ext4").system_disks ==
          Names{"/dev/sda", "/dev/nvme0n1"});
    CHECK(storage_with("/dev/sdaa1 /srv ext4").system_disks == Names{"/dev/sda", "/dev/sdaa"});
    CHECK(storage_with("/dev/mapper/loop /srv ext4\nx y z").system_disks == Names{"/dev/sda"});
}

TEST_CASE("what lies on iSCSI is a volume, also behind multipath") {
    const ServerStorage storage = storage_with("PARTUUID=pu2 /mail xfs defaults\n"
                                               "/dev/sde /files ext4\n"
                                               "UUID=u3 /local ext4\n"
                                               "nas:/x /nas nfs _netdev\n");
    CHECK(
        storage.volumes ==
        std::vector<VolumeSettings>{
            {.path = "/mail", .uuid = "u2", .wwid = "naa.1", .target = "iqn.a:b", .portal = "h:1"},
            {.path = "/files", .uuid = "u4"}});
    CHECK(storage.system_disks == Names{"/dev/sda", "/dev/nvme0n1"});
    CHECK(storage.other_disks ==
          Names{"/dev/sdb", "/dev/sdc", "/dev/sdd", "/dev/sde", "/dev/sdaa"});
    CHECK(storage.network_mounts == Names{"nas:/x at '/nas'"});
}

TEST_CASE("a system that was started from iSCSI is cloned") {
    const ServerStorage storage =
        storage_of({.boot_disk = "/dev/sdb",
                    .root_disks = {"/dev/sdb"},
                    .disks = {{.name = "/dev/sdb"}},
                    .iscsi_sessions = {{.target = "iqn.a:b", .disks = {"/dev/sdb"}}},
                    .fstab = "/dev/sdb1 / ext4\n/dev/sdb2 /home ext4\n"});
    CHECK(storage.volumes.empty());
    CHECK(storage.system_disks == Names{"/dev/sdb"});
}

} // namespace coldspare::standby
