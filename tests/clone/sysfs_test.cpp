#include "clone/sysfs.hpp"

#include "tests/support/fake_sys.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone::sysfs {

namespace fs = std::filesystem;

TEST_CASE("the bus is read from where a disk lies") {
    const std::vector<std::pair<std::string, std::string>> table{
        {"/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", "ata"},
        {"/sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/"
         "sdb",
         "usb"},
        {"/sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda", "virtio"},
        {"/sys/devices/pci0000:00/0000:00:02.0/virtio0/host2/target2:0:0/2:0:0:0/block/sda",
         "scsi"},
        {"/sys/devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sdc", "iscsi"},
        {"/sys/devices/pci0/host5/rport-5:0-1/target5:0:0/5:0:0:0/block/sdd", "fc"},
        {"/sys/devices/pci0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sda", "sas"},
        {"/sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1", "nvme"},
        {"/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "nvme"},
        {"/sys/devices/vbd-51712/block/xvda", "xen"},
        {"/sys/devices/pci0/mmc_host/mmc0/mmc0:0001/block/mmcblk0", "mmc"},
        {"/sys/devices/virtual/block/loop12", "loop"},
        {"/sys/devices/virtual/block/dm-3", "dm"},
        {"/sys/devices/virtual/block/md127", "md"},
        {"/sys/devices/hostile/usbfoo/block/abc", ""},
        {"", ""}};
    for (const auto& [directory, bus] : table) {
        CAPTURE(directory);
        CHECK(bus_of(directory) == bus);
    }
}

TEST_CASE("a disk of each kind keeps its numbers elsewhere") {
    FakeSys fake;
    const fs::path ata = fake.add_disk("pci0/ata1/host0/target0:0:0/0:0:0:0/block", "sda", 8, 0);
    FakeSys::set(ata / "device/model", "Samsung SSD 870 \n");
    FakeSys::set(ata / "device/vpd_pg80", std::string("\0\x80\0\x08 S5Y1NG \0\0", 14));
    FakeSys::set(ata / "device/wwid", "naa.5002538f\n");
    FakeSys::set(ata / "queue/rotational", "1\n");
    const fs::path part = fake.add_partition(ata, 2, 8, 2);
    for (const unsigned minor : {0U, 2U}) {
        const Identity identity = identity_of(::makedev(8, minor), fake.roots());
        CHECK(identity.model == "Samsung SSD 870");
        CHECK(identity.serial == "S5Y1NG");
        CHECK(identity.wwn == "naa.5002538f");
        const Hardware hardware = hardware_of(::makedev(8, minor), fake.roots());
        CHECK(hardware.bus == "ata");
        CHECK(hardware.rotational);
        CHECK_FALSE(hardware.removable);
        CHECK(hardware.partition == minor);
    }

    const fs::path virtio = fake.add_disk("pci0/virtio1/block", "vda", 254, 0);
    FakeSys::set(virtio / "serial", "DISK-1");
    CHECK(identity_of(::makedev(254, 0), fake.roots()).serial == "DISK-1");

    const fs::path nvme = fake.add_disk("pci0/nvme/nvme0", "nvme0n1", 259, 0);
    FakeSys::set(nvme / "device/serial", "N1  \n");
    FakeSys::set(nvme / "wwid", "eui.00\n");
    CHECK(identity_of(::makedev(259, 0), fake.roots()).serial == "N1");
    CHECK(identity_of(::makedev(259, 0), fake.roots()).wwn == "eui.00");

    const fs::path stick = fake.add_disk("pci0/usb1/1-2/1-2:1.0/host6/block", "sdb", 8, 16);
    FakeSys::set(fake.roots().sys / "devices/pci0/usb1/1-2/idVendor", "0781\n");
    FakeSys::set(fake.roots().sys / "devices/pci0/usb1/1-2/serial", "4C53\n");
    FakeSys::set(stick / "removable", "1\n");
    CHECK(identity_of(::makedev(8, 16), fake.roots()).serial == "4C53");
    CHECK(hardware_of(::makedev(8, 16), fake.roots()).removable);
}

TEST_CASE("a page 80 that is cut or lies about its length is no crash") {
    FakeSys fake;
    const fs::path disk = fake.add_disk("host0/block", "sda", 8, 0);
    for (const std::string& page : {std::string(), std::string("\0\x80", 2),
                                    std::string("\0\x80\0\0", 4), std::string("\0\x80\0\4", 4)}) {
        FakeSys::set(disk / "device/vpd_pg80", page);
        CHECK(identity_of(::makedev(8, 0), fake.roots()).serial.empty());
    }
    FakeSys::set(disk / "device/vpd_pg80", std::string("\0\x80\xff\xff"
                                                       "AB",
                                                       6));
    CHECK(identity_of(::makedev(8, 0), fake.roots()).serial == "AB");
}

TEST_CASE("maps and loop devices say what they stand for") {
    FakeSys fake;
    const fs::path map = fake.add_disk("virtual/block", "dm-0", 253, 0);
    FakeSys::set(map / "dm/name", "vg0-root\n");
    CHECK(hardware_of(::makedev(253, 0), fake.roots()).map_name == "vg0-root");
    const fs::path loop = fake.add_disk("virtual/block", "loop0", 7, 0);
    FakeSys::set(loop / "loop/backing_file", "/srv/a.img\n");
    CHECK(hardware_of(::makedev(7, 0), fake.roots()).backing == "/srv/a.img");
    CHECK(hardware_of(::makedev(7, 0), fake.roots()).bus == "loop");
}

} // namespace coldspare::clone::sysfs
