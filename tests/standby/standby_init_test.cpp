#include "standby/standby_init.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "standby/standby_file.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace coldspare::standby {

namespace {

Inventory mail_server() {
    return {
        .created = "2026-11-22T03:05:14Z",
        .hostname = "mail",
        .system = "Debian GNU/Linux 12 (bookworm)",
        .architecture = "x86_64",
        .cpus = 8,
        .cpu_model = "Some CPU",
        .memory = (std::uint64_t{16} << 30) - 400'000'000,
        .firmware = "uefi",
        .boot_disk = "/dev/sdb",
        .root_disks = {"/dev/sda"},
        .nics = {{.name = "eth0",
                  .permanent_mac = "00:0d:61:44:90:12",
                  .mac = "00:0d:61:44:90:99",
                  .kind = NicKind::physical,
                  .driver = "e1000e",
                  .bus_address = "0000:02:00.0",
                  .addresses = {"192.0.2.10/24"}},
                 {.name = "bond0", .mac = "00:0d:61:44:90:99", .kind = NicKind::bond},
                 {.name = "ib0",
                  .mac = "80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:00:01",
                  .kind = NicKind::physical}},
        .disks = {{.name = "/dev/sda", .size = 1 << 30, .model = "ST1", .serial = "Z1"},
                  {.name = "/dev/sdb", .size = 1 << 30, .model = "ST1", .serial = "same"},
                  {.name = "/dev/sdc", .size = 1 << 30, .wwn = "naa.6001405aa"},
                  {.name = "/dev/sdd", .size = 1 << 30, .serial = "same"}},
        .file_systems = {{"/dev/sda2", "LVM2_member", "pv", "", ""},
                         {"/dev/mapper/vg0-root", "ext4", "4fd2", "", ""},
                         {"/dev/sdc", "ext4", "77aa-1", "mail", ""}},
        .mapped = {{"vg0-root", "LVM-x", {"sda2"}}},
        .iscsi_sessions = {{.target = "iqn.2003-01.org.nas:Mail",
                            .portal = "192.0.2.50:3260",
                            .address = "192.0.2.50:3260",
                            .initiator = "iqn.1993-08.org.debian:01",
                            .disks = {"/dev/sdc"}}},
        .fstab = "/dev/mapper/vg0-root / ext4 defaults 0 1\n"
                 "LABEL=mail /var/spool/my\\040mail ext4 _netdev,noatime 0 2\n"
                 "UUID=9999 /srv/unknown xfs _netdev 0 0\n"
                 "nas:/home /home nfs4 _netdev 0 0\n",
        .services_enabled = {"cyrus-imapd.service", "postfix", "ssh.service"},
    };
}

StandbyFile made_from(const Inventory& server, std::string_view name = "mail01") {
    const std::string text = standby_text(server, {.name = std::string(name)});
    CAPTURE(text);
    return parse_standby_file(std::string(name) + ".toml", text);
}

} // namespace

TEST_CASE("a standby's file is written from the inventory of its server") {
    const StandbyFile wanted{
        .name = "mail01",
        .source = {.host = "mail", .connect = "mail:10000"},
        .machine = {.domain = "mail01-standby",
                    .cpus = 8,
                    .memory = std::uint64_t{16} << 30,
                    .firmware = "uefi",
                    .disks = {{"sdb", "/srv/standby/mail01.img"},
                              {"Z1", "/srv/standby/mail01-2.img"}},
                    .nics = {{"eth0", "00:0d:61:44:90:12", NicWay::user, "", ""}}},
        .fixup = {.initiator_name = "iqn.1993-08.org.debian:01-standby"},
        .volumes = {{.path = "/var/spool/my mail",
                     .uuid = "77aa-1",
                     .wwid = "naa.6001405aa",
                     .target = "iqn.2003-01.org.nas:Mail",
                     .portal = "192.0.2.50:3260"},
                    {.path = "/srv/unknown", .uuid = "9999"}}};
    CHECK(made_from(mail_server()) == wanted);
}

TEST_CASE("a new standby's file says what was found, and what to look at") {
    const std::string text = standby_text(mail_server(), {.name = "mail01"});
    for (
        const char* line :
        {"# The standby 'mail01'. docs/FORMATS.md 11 says what each value may be.",
         "# From the inventory of 'mail', Debian GNU/Linux 12 (bookworm), of 2026-11-22T03:05:14Z.",
         "# The server has 8 processors (Some CPU).", "# The server's kernel has 15.6 GiB.",
         "# /dev/sdb: 1.0 GiB, ST1", "# not cloned: /dev/sdc: 1.0 GiB, not known",
         "# eth0: e1000e at 0000:02:00.0, 192.0.2.10/24", "# hold = [\"cyrus-imapd\", \"postfix\"]",
         "# CHECK: no iSCSI target is known for it: '' at ''",
         "# the copy mounts it by itself: nas:/home at '/home'",
         "# CHECK: left out, with the address "
         "'80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:00:01': ib0: not known at not "
         "known, "}) {
        CAPTURE(line);
        CHECK(contains(text, std::string(line).append("\n")));
    }
    for (const std::string_view line : split_lines(text)) {
        CAPTURE(line);
        CHECK(line.size() <= 400);
    }
}

TEST_CASE("an inventory that knows nothing still gives a standby's file") {
    const StandbyFile made = made_from({});
    CHECK(made.source.connect == "mail01:10000");
    CHECK(made.machine.cpus == 2);
    CHECK(made.machine.memory == std::uint64_t{2} << 30);
    CHECK(made.machine.firmware.empty());
    CHECK(made.machine.disks == std::vector<DiskSettings>{{"sda", "/srv/standby/mail01.img"}});
    CHECK(made.machine.nics.empty());
}

TEST_CASE("disks are all that are known where nothing says which hold the system") {
    const StandbyFile made =
        made_from({.disks = {{.name = "/dev/nvme0n1"}, {.name = "/dev/nvme1n1", .serial = "a=b"}}});
    CHECK(made.machine.disks ==
          std::vector<DiskSettings>{{"nvme0n1", "/srv/standby/mail01.img"},
                                    {"nvme1n1", "/srv/standby/mail01-2.img"}});
}

TEST_CASE("what an inventory calls things cannot break out of a standby's file") {
    const std::string odd = "a\"]\n[[disk]]\nsource = \"x\\";
    Inventory server{.created = odd,
                     .hostname = odd,
                     .system = odd,
                     .cpus = 4'000'000,
                     .cpu_model = odd,
                     .memory = UINT64_MAX,
                     .firmware = odd,
                     .boot_disk = "/dev/" + odd,
                     .root_disks = {odd, "/dev/sd=a", "", "https://x"},
                     .disks = {{.name = odd, .model = odd, .serial = odd, .wwn = odd},
                               {.name = "", .serial = "q\"uo\\te"}},
                     .file_systems = {{odd, odd, odd, "x", odd}},
                     .mapped = {{"m", "", {"mapper/m", "sda"}}},
                     .iscsi_sessions = {{.target = odd,
                                         .portal = odd,
                                         .initiator = "iqn.2026-11.a:\"",
                                         .disks = {odd}}},
                     .fstab = "/dev/mapper/m /\\012[x] ext4 _netdev\n"
                              "LABEL=x /a\"b\\134 ext4 _netdev\n"
                              "UUID=1 /a\"b\\134 ext4 _netdev\n"
                              "UUID=1 /c ext4 _netdev\n"
                              "UUID=2 /a\"b\\134 ext4 _netdev\n"
                              "UUID=3 /\\355\\240\\200 ext4 _netdev\n"
                              "UUID=4 /x/../y ext4 _netdev\n"
                              "nas:\\012x /n nfs ro\n",
                     .services_enabled = {"dirsrv@a b", "dirsrv@\"x", "dirsrv@good"}};
    for (int i = 0; i < 40; ++i) {
        server.nics.push_back({.name = fmt::format("eth{}", i / 2),
                               .permanent_mac = fmt::format("52:54:00:00:00:{:02x}", i / 3 + 1),
                               .kind = NicKind::physical,
                               .driver = odd});
    }
    server.nics.push_back({.name = "a,b", .mac = "52:54:00:00:01:01", .kind = NicKind::physical});
    const StandbyFile made = made_from(parse_inventory(encode_inventory(server)));
    CHECK(made.source.host == "mail01");
    CHECK(made.machine.cpus == 1024);
    CHECK(made.machine.memory == std::uint64_t{16} << 40);
    CHECK(made.fixup.initiator_name.empty());
    CHECK(made.fixup.holds.empty());
    CHECK(made.machine.nics.size() == 14);
    CHECK(made.volumes == std::vector<VolumeSettings>{{.path = "/a\"b\\", .uuid = "1"}});
    for (const DiskSettings& disk : made.machine.disks) {
        CAPTURE(disk.source);
        CHECK(disk.source.find('\n') == std::string::npos);
    }
    CHECK(services_to_hold(server) == std::vector<std::string>{"dirsrv@good"});
}

TEST_CASE("a machine with more than a standby's file takes gives what it takes") {
    Inventory server;
    for (int i = 0; i < 100; ++i) {
        server.nics.push_back({.name = fmt::format("eth{}", i),
                               .mac = fmt::format("52:54:00:00:00:{:02x}", i + 1),
                               .kind = NicKind::physical});
        server.root_disks.push_back(fmt::format("/dev/sd{}", i));
        server.fstab += fmt::format("UUID={} /v{} ext4 _netdev\n", i, i);
    }
    const StandbyFile made = made_from(server);
    CHECK(made.machine.nics.size() == 16);
    CHECK(made.machine.disks.size() == 64);
    CHECK(made.volumes.size() == 64);
}

TEST_CASE("the options of a new standby are looked at") {
    const auto message = [](const StandbyTextOptions& options) {
        const Error error = thrown_by([&] { static_cast<void>(standby_text({}, options)); });
        CHECK(error.status() == ExitStatus::usage);
        return error.message();
    };
    CHECK(message({.name = "a b"}) == "'a b' is no name of a standby");
    CHECK(message({.name = "a", .connect = "x"}) ==
          "the server's address is 'x', which is neither HOST:PORT nor [IPV6]:PORT");
    CHECK(message({.name = "a", .image_directory = "images"}) ==
          "the directory for images is 'images', which does not begin with '/'");
    const StandbyTextOptions device{
        .name = "a", .connect = "[fd00::1]:5", .image_directory = "/dev/vg0"};
    const StandbyFile made = parse_standby_file("a.toml", standby_text({}, device));
    CHECK(made.keep == 1);
    CHECK(made.source.connect == "[fd00::1]:5");
}

} // namespace coldspare::standby
