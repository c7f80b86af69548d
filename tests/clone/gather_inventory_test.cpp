#include "clone/gather_inventory.hpp"

#include "clone/inventory_parts.hpp"
#include "clone/little_endian.hpp"
#include "tests/support/fake_sys.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

/// A machine that is only files.
class FakeMachine : public FakeSys {
public:
    FakeMachine() { sources_.kernel = roots(); }

    [[nodiscard]] fs::path sys(const std::string& path) const { return roots().sys / path; }
    [[nodiscard]] fs::path proc(const std::string& path) const { return roots().proc / path; }
    [[nodiscard]] fs::path file(const std::string& path) const {
        return roots().sys.parent_path() / "root" / path;
    }
    MachineSources& sources() {
        sources_.root = file("");
        return sources_;
    }
    Inventory gather() { return gather_inventory(sources(), "coldspare test"); }

    /// An interface as /sys shows it.
    fs::path add_nic(const std::string& name, const std::string& mac) const {
        const fs::path directory = sys("class/net") / name;
        set(directory / "address", mac + "\n");
        set(directory / "addr_assign_type", "0\n");
        set(directory / "flags", "0x1003\n");
        set(directory / "name_assign_type", "4\n");
        return directory;
    }
    /// One with a card.
    fs::path add_card(const std::string& name, const std::string& mac, const std::string& bus,
                      const std::string& driver) const {
        const fs::path directory = add_nic(name, mac);
        const fs::path card = sys("devices/pci0000:00") / bus;
        fs::create_directories(card);
        fs::create_directories(sys("bus/pci/drivers") / driver);
        fs::create_directory_symlink(sys("bus/pci/drivers") / driver, card / "driver");
        fs::create_directory_symlink(card, directory / "device");
        set(directory / "speed", "1000\n");
        return directory;
    }

private:
    MachineSources sources_;
};

NicFacts nic_of(const Inventory& all, std::string_view name) {
    const auto found = std::ranges::find(all.nics, name, &NicFacts::name);
    return found == all.nics.end() ? NicFacts{.name = "none"} : *found;
}

/// A load option of UEFI with a partition on a GPT, as efivarfs shows it.
std::string load_option() {
    std::string path;
    path += std::string("\x04\x01\x2a\x00", 4); // a hard drive, 42 bytes
    append_little_endian(path, std::uint32_t{1});
    path += std::string(16, '\0'); // where it lies
    path += std::string("\x03\x02\x01\x00\x05\x04\x07\x06\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16);
    path += std::string("\x02\x02", 2);               // GPT, a GUID
    path += std::string("\x04\x04\x06\x00\\\x00", 6); // a file
    path += std::string("\x7f\xff\x04\x00", 4);       // the end
    std::string option("\x07\x00\x00\x00\x01\x00\x00\x00", 8);
    append_little_endian(option, static_cast<std::uint16_t>(path.size()));
    option += std::string("d\0e\0b\0\0\0", 8);
    return option + path;
}

constexpr const char* partuuid = "00010203-0405-0607-0809-0a0b0c0d0e0f";

DiskEntry disk(const std::string& name, const std::string& table) {
    DiskEntry entry;
    entry.facts.name = name;
    entry.table = table;
    return entry;
}

} // namespace

TEST_CASE("a machine of which nothing can be seen has an empty inventory") {
    MachineSources nowhere;
    nowhere.kernel = {.sys = "/nonexistent", .proc = "/nonexistent", .dev = "/nonexistent"};
    nowhere.root = "/nonexistent";
    Inventory all = gather_inventory(nowhere, "coldspare test");
    CHECK_FALSE(all.created.empty());
    all.created.clear();
    CHECK(all == Inventory{.program = "coldspare test", .selinux = "disabled"});
}

TEST_CASE("the inventory of this machine is readable, and has what runs here") {
    const Inventory all = gather_inventory(this_machine(), "coldspare test");
    CHECK_FALSE(all.kernel.empty());
    CHECK_FALSE(all.architecture.empty());
    CHECK(parse_inventory(encode_inventory(all)).kernel == all.kernel);
}

TEST_CASE("a network card is told with its driver, its place and its own address") {
    FakeMachine machine;
    machine.add_card("eth0", "00:0D:61:44:90:12", "0000:02:00.0", "e1000");
    machine.sources().links = {
        {.name = "eth0", .altnames = {"enp2s0"}, .addresses = {"192.0.2.10/24"}}};
    CHECK(nic_of(machine.gather(), "eth0") == NicFacts{.name = "eth0",
                                                       .permanent_mac = "00:0d:61:44:90:12",
                                                       .mac = "00:0d:61:44:90:12",
                                                       .kind = NicKind::physical,
                                                       .driver = "e1000",
                                                       .bus_address = "0000:02:00.0",
                                                       .altnames = {"enp2s0"},
                                                       .name_assign_type = 4,
                                                       .speed = 1000,
                                                       .up = true,
                                                       .addresses = {"192.0.2.10/24"}});
}

TEST_CASE("a card of virtio has the place that is above virtio") {
    FakeMachine machine;
    const fs::path nic = machine.add_nic("eth0", "52:54:00:12:34:56");
    const fs::path device = machine.sys("devices/pci0000:00/0000:00:03.0/virtio1");
    fs::create_directories(device);
    fs::create_directory_symlink(device, nic / "device");
    CHECK(nic_of(machine.gather(), "eth0").bus_address == "0000:00:03.0");
}

TEST_CASE("the ports of a bond have their own addresses") {
    FakeMachine machine;
    const std::string shared = "00:0d:61:44:90:12";
    const fs::path bond = machine.add_nic("bond0", shared);
    fs::create_directories(bond / "bonding");
    for (const char* name : {"eth0", "eth1", "eth2"}) {
        const fs::path port =
            machine.add_card(name, shared, std::string("0000:02:00.") + name[3], "e1000");
        fs::create_directory_symlink(bond, port / "master");
    }
    FakeSys::set(machine.sys("class/net/bonding_masters"), "bond0\n");
    FakeSys::set(machine.proc("net/bonding/bond0"),
                 "Bonding Mode: active-backup\nMII Status: up\n\n"
                 "Slave Interface: eth0\nMII Status: up\nPermanent HW addr: 00:0d:61:44:90:12\n\n"
                 "Slave Interface: eth1\nMII Status: up\nPermanent HW addr: 00:0D:61:44:90:13\n");
    machine.sources().links = {{.name = "eth0", .permanent_mac = "00:0d:61:44:90:99"}};
    const Inventory all = machine.gather();
    CHECK(all.nics.size() == 4);
    CHECK(nic_of(all, "bond0").kind == NicKind::bond);
    CHECK(nic_of(all, "bond0").permanent_mac.empty());
    CHECK(nic_of(all, "eth0").permanent_mac == "00:0d:61:44:90:99"); // the card's word
    CHECK(nic_of(all, "eth1").permanent_mac == "00:0d:61:44:90:13");
    CHECK(nic_of(all, "eth1").mac == shared);
    CHECK(nic_of(all, "eth1").master == "bond0");
    CHECK(nic_of(all, "eth2").permanent_mac.empty()); // what it shows is the bond's
}

TEST_CASE("an address that was given to a card is not its own") {
    FakeMachine machine;
    const fs::path nic = machine.add_card("eth0", "02:00:00:00:00:01", "0000:02:00.0", "igb");
    FakeSys::set(nic / "addr_assign_type", "3\n");
    CHECK(nic_of(machine.gather(), "eth0").permanent_mac.empty());
    CHECK(nic_of(machine.gather(), "eth0").mac == "02:00:00:00:00:01");
}

TEST_CASE("a VLAN names its number and what it lies on, also under an old kernel") {
    FakeMachine machine;
    machine.add_nic("bond0.5", "00:0d:61:44:90:12");
    FakeSys::set(machine.proc("net/vlan/bond0.5"),
                 "bond0.5  VID: 5\t REORDER_HDR: 1  dev->priv_flags: 1\nDevice: bond0\n");
    const fs::path modern = machine.add_nic("office", "00:0d:61:44:90:12");
    FakeSys::set(modern / "lower_eth1/address", "");
    machine.sources().links = {{.name = "office", .kind = "vlan", .vlan_id = 12}};
    const Inventory all = machine.gather();
    CHECK(nic_of(all, "bond0.5").kind == NicKind::vlan);
    CHECK(nic_of(all, "bond0.5").vlan_id == 5);
    CHECK(nic_of(all, "bond0.5").lower == "bond0");
    CHECK(nic_of(all, "office").kind == NicKind::vlan);
    CHECK(nic_of(all, "office").vlan_id == 12);
    CHECK(nic_of(all, "office").lower == "eth1");
}

TEST_CASE("bridges and what is made by software are no cards") {
    FakeMachine machine;
    const fs::path bridge = machine.add_nic("br0", "00:0d:61:44:90:12");
    FakeSys::set(bridge / "uevent", "DEVTYPE=bridge\nINTERFACE=br0\n");
    const fs::path tap = machine.add_nic("tap0", "fe:00:00:00:00:01");
    fs::create_directory_symlink(bridge, tap / "master");
    machine.add_nic("lo", "00:00:00:00:00:00");
    const Inventory all = machine.gather();
    CHECK(all.nics.size() == 2);
    CHECK(nic_of(all, "br0").kind == NicKind::bridge);
    CHECK(nic_of(all, "tap0").kind == NicKind::other);
    CHECK(nic_of(all, "tap0").master == "br0");
    CHECK(nic_of(all, "tap0").permanent_mac.empty());
}

TEST_CASE("disks are told with their links, also where they cannot be read") {
    FakeMachine machine;
    const fs::path sda = machine.add_disk("pci0000:00/ata1/host0", "sda", 8, 0);
    FakeSys::set(sda / "size", "2048\n");
    FakeSys::set(sda / "queue/logical_block_size", "512\n");
    FakeSys::set(sda / "device/model", "ST500\n");
    FakeSys::set(sda / "device/serial", "Z4Y\n");
    FakeSys::set(sda / "device/wwid", "naa.5000\n");
    FakeSys::set(machine.add_disk("virtual/block", "loop0", 7, 0) / "size", "2048\n");
    FakeSys::set(machine.add_disk("pci0000:00/ata2/host1", "sr0", 11, 0) / "size", "2048\n");
    for (const char* directory : {"disk/by-id", "disk/by-path"}) {
        fs::create_directories(machine.roots().dev / directory);
    }
    fs::create_symlink("../../sda", machine.roots().dev / "disk/by-id/ata-ST500_Z4Y");
    fs::create_symlink("../../sda1", machine.roots().dev / "disk/by-id/ata-ST500_Z4Y-part1");
    fs::create_symlink("../../sda", machine.roots().dev / "disk/by-path/pci-0-ata-1");
    CHECK(machine.gather().disks == std::vector<InventoryDisk>{{.name = "/dev/sda",
                                                                .size = 1048576,
                                                                .logical_sector = 512,
                                                                .model = "ST500",
                                                                .serial = "Z4Y",
                                                                .wwn = "naa.5000",
                                                                .by_id = {"ata-ST500_Z4Y"},
                                                                .by_path = {"pci-0-ata-1"}}});
}

TEST_CASE("what lies on the disks is told by device, and what it is made of") {
    FakeMachine machine;
    const fs::path sda = machine.add_disk("pci0000:00/ata1/host0", "sda", 8, 0);
    const fs::path sda2 = machine.add_partition(sda, 2, 8, 2);
    const fs::path root = machine.add_map("dm-0", 0, "vg0-root", "LVM-x", sda2);
    fs::create_directories(root / "slaves");
    fs::create_directory_symlink(sda2, root / "slaves/sda2");
    machine.mount("253:0", "/", "rw", "ext4", "/dev/mapper/vg0-root");
    DiskEntry whole = disk("/dev/nvme0n1", "gpt");
    whole.partitions = {{.number = 1,
                         .uuid = "00a1",
                         .content = {.type = "vfat", .label = "EFI", .uuid = "1234-ABCD"}},
                        {.number = 2, .extended = true}};
    DiskEntry map = disk("/dev/dm-0", "");
    map.hardware = {.bus = "dm", .map_name = "vg0-root"};
    map.content = {.type = "ext4", .label = "root", .uuid = "4fd2"};
    machine.sources().disks = {whole, map, disk("/dev/loop0", "")};
    const Inventory all = machine.gather();
    CHECK(all.file_systems ==
          std::vector<FileSystemFacts>{{"/dev/nvme0n1p1", "vfat", "1234-ABCD", "EFI", "00a1"},
                                       {"/dev/mapper/vg0-root", "ext4", "4fd2", "root", ""}});
    CHECK(all.mapped == std::vector<MappedDevice>{{"vg0-root", "LVM-x", {"sda2"}}});
    CHECK(all.root_uuid == "4fd2");
    CHECK(all.root_disks == std::vector<std::string>{"/dev/sda"});
    CHECK(all.boot_disk == "/dev/sda");
}

TEST_CASE("the firmware says which disk it started from") {
    FakeMachine machine;
    DiskEntry sda = disk("/dev/sda", "dos");
    sda.partitions = {{.number = 1, .uuid = "deadbeef-01"}};
    DiskEntry sdb = disk("/dev/sdb", "gpt");
    sdb.partitions = {{.number = 1, .uuid = partuuid}};
    machine.sources().disks = {sda, sdb};
    machine.sources().architecture = "x86_64";
    FakeSys::set(machine.sys("firmware/edd/int13_dev80/mbr_signature"), "0xdeadbeef\n");
    CHECK(machine.gather().firmware == "bios");
    CHECK(machine.gather().boot_disk == "/dev/sda");
    CHECK_FALSE(machine.gather().secure_boot);
    const std::string global = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    const auto set = [&](const std::string& name, std::string value) {
        FakeSys::set(machine.sys("firmware/efi/efivars/" + name + global), value);
    };
    set("SecureBoot", std::string("\x06\0\0\0\x01", 5));
    set("BootCurrent", std::string("\x06\0\0\0\x0a\0", 6));
    set("Boot000A", load_option());
    CHECK(machine.gather().firmware == "uefi");
    CHECK(machine.gather().secure_boot == true);
    CHECK(machine.gather().boot_disk == "/dev/sdb");
    DiskEntry twin = sdb;
    twin.facts.name = "/dev/sdc";
    machine.sources().disks.push_back(twin);
    CHECK(machine.gather().boot_disk.empty()); // Nobody can tell.
}

TEST_CASE("a load option that is cut anywhere names a partition or none") {
    using inventory::partition_of_load_option;
    const std::string whole = load_option();
    CHECK(partition_of_load_option(whole) == partuuid);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        CAPTURE(length);
        const std::string found = partition_of_load_option(whole.substr(0, length));
        CHECK((found.empty() || found == partuuid));
    }
}

TEST_CASE("the system is told by its files") {
    FakeMachine machine;
    machine.sources().architecture = "x86_64";
    FakeSys::set(machine.proc("sys/kernel/hostname"), "mail\n");
    FakeSys::set(machine.sys("devices/system/cpu/online"), "0-3,6\n");
    FakeSys::set(machine.proc("cpuinfo"), "processor\t: 0\nmodel name\t: Some CPU\n\nx\n");
    FakeSys::set(machine.proc("meminfo"), "MemTotal:       24684092 kB\nMemFree: 1 kB\n");
    FakeSys::set(machine.proc("sys/kernel/osrelease"), "6.1.0-38-amd64\n");
    FakeSys::set(machine.proc("cmdline"), "root=UUID=1 ro rd.iscsi.password=geheim quiet\n");
    FakeSys::set(machine.proc("modules"), "xfs 1 0 - Live\next4 2 1 - Live\n");
    FakeSys::set(machine.proc("mdstat"), "Personalities :\n");
    FakeSys::set(machine.file("etc/os-release"), "NAME=x\nPRETTY_NAME=\"Debian 12\"\n");
    FakeSys::set(machine.file("etc/fstab"),
                 "//nas/x /x cifs username=a,password=geheim,ro 0 0\nUUID=1 / ext4 defaults 0 1\n");
    FakeSys::set(machine.file("etc/crypttab"),
                 "# tpm2-device=auto\na UUID=1 none luks\nb UUID=2 none tpm2-device=auto\n");
    FakeSys::set(machine.file("etc/multipath/bindings"), "mpatha 3600\n");
    FakeSys::set(machine.file("usr/sbin/update-initramfs"), "");
    FakeSys::set(machine.file("usr/sbin/mkinitramfs"), "");
    FakeSys::set(machine.file("usr/lib/systemd/libsystemd-shared-252.so"), "");
    FakeSys::set(machine.file("lib/x86_64-linux-gnu/libc.so.6"),
                 std::string("\0\0GNU C Library (Debian) stable release version 2.36.\nx", 54));
    FakeSys::set(machine.file("etc/systemd/system/multi-user.target.wants/ssh.service"), "");
    FakeSys::set(machine.file("etc/rc2.d/S20apache2"), "");
    FakeSys::set(machine.file("etc/rc2.d/K80off"), "");
    FakeSys::set(machine.file("etc/rc.d/rc3.d/S10network"), "");
    FakeSys::set(machine.file("etc/selinux/config"), "# x\nSELINUX=enforcing\n");
    FakeSys::set(machine.sys("fs/selinux/enforce"), "0");
    FakeSys::set(machine.sys("fs/cgroup/system.slice/cron.service/x"), "");
    fs::create_directories(machine.sys("class/tpm/tpm0"));
    const Inventory all = machine.gather();
    CHECK(all.hostname == "mail");
    CHECK(all.system == "Debian 12");
    CHECK(all.cpus == 5);
    CHECK(all.cpu_model == "Some CPU");
    CHECK(all.memory == std::uint64_t{24684092} * 1024);
    CHECK(all.kernel == "6.1.0-38-amd64");
    CHECK(all.cmdline == "root=UUID=1 ro rd.iscsi.password=*** quiet");
    CHECK(all.modules == std::vector<std::string>{"ext4", "xfs"});
    CHECK(all.mdstat == "Personalities :\n");
    CHECK(all.fstab ==
          "//nas/x /x cifs username=a,password=***,ro 0 0\nUUID=1 / ext4 defaults 0 1\n");
    CHECK(all.tpm);
    CHECK(all.tpm_bindings == std::vector<std::string>{"b"});
    CHECK(all.multipath_bindings == "mpatha 3600\n");
    CHECK(all.initramfs_tool == "update-initramfs");
    CHECK(all.systemd_version == "252");
    CHECK(all.glibc_version == "2.36");
    CHECK(all.services_enabled == std::vector<std::string>{"apache2", "network", "ssh.service"});
    CHECK(all.services_active == std::vector<std::string>{"cron.service"});
    CHECK(all.selinux == "permissive");
    CHECK(all.selinux_configured == "enforcing");
    CHECK(parse_inventory(encode_inventory(all)) == all);
}

TEST_CASE("processors are counted from the kernel's list of them") {
    using inventory::processors_in;
    CHECK(processors_in("0") == 1);
    CHECK(processors_in("0-1,4-7,9") == 7);
    for (const char* odd : {"", "x", ",", "5-3", "0-99999999", "-"}) {
        CAPTURE(odd);
        CHECK(processors_in(odd) == 0);
    }
}

TEST_CASE("older systems have other names for the same") {
    FakeMachine machine;
    FakeSys::set(machine.file("etc/redhat-release"), "CentOS release 5.11 (Final)\n");
    FakeSys::set(machine.file("sbin/mkinitrd"), "");
    CHECK(machine.gather().system == "CentOS release 5.11 (Final)");
    CHECK(machine.gather().initramfs_tool == "mkinitrd");
    FakeSys::set(machine.file("usr/bin/dracut"), "");
    CHECK(machine.gather().initramfs_tool == "dracut");
    FakeMachine etch;
    FakeSys::set(etch.file("etc/debian_version"), "4.0\n");
    FakeSys::set(etch.file("usr/sbin/update-initramfs"), "");
    CHECK(etch.gather().system == "Debian 4.0");
    CHECK(etch.gather().initramfs_tool == "update-initramfs");
}

TEST_CASE("passwords do not leave the machine") {
    using inventory::without_passwords;
    CHECK(without_passwords("") == "");
    CHECK(without_passwords("a=b\nPassword=x y,pass=1,z=2\npasswd=") ==
          "a=b\nPassword=*** y,pass=***,z=2\npasswd=***");
    CHECK(without_passwords("compass=north x_secret=1\tb") == "compass=*** x_secret=***\tb");
    CHECK(without_passwords("//s/a /a cifs user=joe%x,password2=y,ro 0 0") ==
          "//s/a /a cifs user=joe%***,password2=***,ro 0 0");
    CHECK(without_passwords("netroot=iscsi:joe:x@10.0.0.1::::iqn.a:b ro user=joe root=UUID=1%2") ==
          "netroot=iscsi:***@10.0.0.1::::iqn.a:b ro user=joe root=UUID=1%2");
}

} // namespace coldspare::clone
