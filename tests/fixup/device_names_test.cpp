#include "fixup/device_names.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

GuestVolume partition(unsigned disk, unsigned number, const std::string& format,
                      const std::string& uuid, const std::string& mount = "") {
    return {.device = "x",
            .disk = disk,
            .partition = number,
            .format = format,
            .uuid = uuid,
            .mount_point = mount};
}

GuestSystem system_with(std::size_t disks, std::vector<GuestVolume> volumes) {
    return {.tables = std::vector<std::string>(disks, "msdos"), .volumes = std::move(volumes)};
}

std::string uuid_of(const DeviceNames& names, const char* name) {
    const GuestVolume* volume = names.find(name);
    return volume == nullptr ? "" : volume->uuid;
}

} // namespace

TEST_CASE("names of hardware are taken apart into disk and partition") {
    struct Row {
        const char* name;
        DiskName expected;
    };
    const Row rows[] = {
        {"/dev/sda1", {"/dev/sda", DiskFamily::sd, 0, 1}},
        {"/dev/sdaa12", {"/dev/sdaa", DiskFamily::sd, 26, 12}},
        {"/dev/hdc", {"/dev/hdc", DiskFamily::hd, 2, std::nullopt}},
        {"/dev/xvdb2", {"/dev/xvdb", DiskFamily::xvd, 1, 2}},
        {"/dev/nvme1n1p3", {"/dev/nvme1n1", DiskFamily::nvme, 1, 3}},
        {"/dev/mmcblk0p2", {"/dev/mmcblk0", DiskFamily::mmc, 0, 2}},
        {"/dev/cciss/c0d1p5", {"/dev/cciss/c0d1", DiskFamily::cciss, 1, 5}},
        {"/dev/cciss/c1d0p5", {"/dev/cciss/c1d0", DiskFamily::cciss, std::nullopt, 5}},
        {"/dev/mapper/mpatha2", {"/dev/mapper/mpatha", DiskFamily::multipath, 0, 2}},
        {"/dev/mapper/mpathbp2", {"/dev/mapper/mpathb", DiskFamily::multipath, 1, 2}},
        {"/dev/mapper/mpath0p1", {"/dev/mapper/mpath0", DiskFamily::multipath, 0, 1}},
        {"/dev/mapper/mpatha-part1", {"/dev/mapper/mpatha", DiskFamily::multipath, 0, 1}},
        {"/dev/mapper/san1_part2", {"/dev/mapper/san1", DiskFamily::multipath, std::nullopt, 2}},
        {"/dev/disk/by-id/ata-X_1-part2",
         {"/dev/disk/by-id/ata-X_1", DiskFamily::link, std::nullopt, 2}},
        {"/dev/disk/by-id/dm-uuid-part3-mpath-3600",
         {"/dev/disk/by-id/dm-uuid-mpath-3600", DiskFamily::link, std::nullopt, 3}},
        {"/dev/disk/by-path/pci-0-scsi-0:0:0:0",
         {"/dev/disk/by-path/pci-0-scsi-0:0:0:0", DiskFamily::link, std::nullopt, std::nullopt}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        const std::optional<DiskName> parsed = parse_disk_name(row.name, {"san1"});
        REQUIRE(parsed);
        CHECK(*parsed == row.expected);
    }
}

TEST_CASE("what keeps its name on other hardware is no name of hardware") {
    for (const char* name : {"UUID=1",
                             "LABEL=/",
                             "/dev/vg/lv",
                             "/dev/mapper/vg-root",
                             "/dev/mapper/mpathvg-root",
                             "/dev/md0",
                             "/dev/md/0",
                             "/dev/disk/by-uuid/1",
                             "/dev/disk/by-label/x",
                             "/dev/fd0",
                             "/dev/cdrom",
                             "/dev/sr0",
                             "/dev/sd",
                             "/dev/sda0",
                             "/dev/sda1x",
                             "/dev/nvme0",
                             "proc",
                             "",
                             "/dev/disk/by-id/md-uuid-1",
                             "/dev/disk/by-id/dm-uuid-LVM-x",
                             "/dev/disk/by-id/",
                             "/dev/mapper/control",
                             "/dev/sdaaaa1",
                             "/dev/sda99999999999"}) {
        CAPTURE(name);
        CHECK_FALSE(parse_disk_name(name));
    }
}

TEST_CASE("the number of a disk counts while there is one kind of disks") {
    const GuestSystem system =
        system_with(2, {partition(0, 1, "ext4", "a", "/"), partition(1, 1, "xfs", "b")});
    CHECK(uuid_of({system, {"/dev/hda1"}, ""}, "/dev/hdb1") == "b");
    const DeviceNames two{system, {"/dev/sda1", "/dev/nvme0n1p1"}, ""};
    CHECK(two.find("/dev/sda1") == nullptr);
    CHECK(two.find("/dev/nvme0n1p1") == nullptr);
}

TEST_CASE("the root file system shows which disk its name means") {
    const GuestSystem system =
        system_with(1, {partition(0, 1, "ext4", "a"), partition(0, 2, "ext4", "b", "/")});
    const DeviceNames names{system, {"/dev/sdb2", "/dev/sda1"}, "/dev/sdb2"};
    CHECK(uuid_of(names, "/dev/sdb2") == "b");
    CHECK(uuid_of(names, "/dev/sdb1") == "a");
    CHECK(names.find("/dev/sda1") == nullptr);
}

TEST_CASE("a link is resolved where there is one disk, and a USB disk is never cloned") {
    const std::vector<GuestVolume> volumes{partition(0, 1, "ext4", "a")};
    const char* link = "/dev/disk/by-id/scsi-X-part1";
    CHECK(uuid_of({system_with(1, volumes), {}, ""}, link) == "a");
    CHECK(uuid_of({system_with(2, volumes), {}, ""}, link).empty());
    const DeviceNames names{system_with(1, volumes), {}, ""};
    const char* usb = "/dev/disk/by-id/usb-WD-0:0-part1";
    CHECK(names.find(usb) == nullptr);
    CHECK(names.is_beyond(*names.parse(usb)));
}

TEST_CASE("the inventory decides, and says what was not cloned") {
    const GuestSystem system =
        system_with(2, {partition(0, 1, "ext4", "a"), partition(1, 1, "xfs", "b")});
    Inventory inventory;
    inventory.disks = {{.name = "/dev/sda", .by_id = {"scsi-A"}},
                       {.name = "/dev/nvme0n1", .by_path = {"pci-1"}},
                       {.name = "/dev/sdc", .by_id = {"scsi-C"}}};
    inventory.mapped = {{.name = "mpatha", .below = {"sda"}}};
    inventory.file_systems = {{.device = "/dev/sda1", .uuid = "b"},
                              {.device = "/dev/nvme0n1p1", .uuid = "a"},
                              {.device = "/dev/sdc1", .uuid = "c"}};
    const DeviceNames names{system, {"/dev/sda1", "/dev/nvme0n1p1"}, "", {}, inventory};
    CHECK(uuid_of(names, "/dev/sda1") == "b");
    CHECK(uuid_of(names, "/dev/disk/by-id/scsi-A-part1") == "b");
    CHECK(uuid_of(names, "/dev/mapper/mpatha1") == "b");
    CHECK(uuid_of(names, "/dev/disk/by-path/pci-1-part1") == "a");
    CHECK(names.disk_of(*names.parse("/dev/sda")) == 1);
    CHECK(names.find("/dev/disk/by-id/scsi-C-part1") == nullptr);
    CHECK(names.is_beyond(*names.parse("/dev/disk/by-id/scsi-C-part1")));
}

TEST_CASE("only a UUID that one volume has can be its name") {
    const GuestSystem system =
        system_with(1, {partition(0, 1, "ext4", "a"), partition(0, 2, "ext4", "b"),
                        partition(0, 3, "ext4", "b"), partition(0, 4, "linux_raid_member", "c"),
                        partition(0, 5, "", "")});
    const DeviceNames names{system, {}, ""};
    CHECK(names.uuid_name(system.volumes[0]) == "UUID=a");
    for (const std::size_t i : {1U, 2U, 3U, 4U}) {
        CHECK(names.uuid_name(system.volumes[i]).empty());
    }
    CHECK(fits_type(system.volumes[0], "ext3"));
    CHECK(fits_type(system.volumes[0], "auto"));
    CHECK_FALSE(fits_type(system.volumes[0], "xfs"));
}
