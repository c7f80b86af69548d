#include "standby/standby_file.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace coldspare::standby {

namespace fs = std::filesystem;

namespace {

StandbyFile parsed(std::string_view text) {
    return parse_standby_file("/etc/coldspare/mail01.toml", text);
}

/// The complaints about a file, or empty.
std::string complaints(std::string_view text) {
    try {
        static_cast<void>(parse_standby_file("m.toml", text));
        return {};
    } catch (const Error& error) {
        CHECK(error.status() == ExitStatus::usage);
        return error.message();
    }
}

constexpr std::string_view least = "format = 1\n"
                                   "[source]\n"
                                   "connect = 'mail:10000'\n"
                                   "[machine]\n"
                                   "cpus = 2\n"
                                   "memory = '4GiB'\n"
                                   "[[disk]]\n"
                                   "source = 'sda'\n"
                                   "image = '/srv/mail.img'\n";

/// The least file with more at its end: `text` begins in line 10.
std::string with(std::string_view text) {
    return std::string(least).append(text);
}

/// The least file with one line in the place of another.
std::string changed(std::string_view old, std::string_view line) {
    std::string text(least);
    const std::size_t at = text.find(old);
    REQUIRE(at != std::string::npos);
    return text.replace(at, old.size(), line);
}

std::string nic(int number, std::string_view mac) {
    return fmt::format("[[nic]]\nname = 'eth{}'\nmac = '{}'\nuser = true\n", number, mac);
}

} // namespace

TEST_CASE("the example is understood, and says what it seems to say") {
    const fs::path path = fs::path(SOURCE_DIR) / "docs/examples/mail01.toml";
    const StandbyFile wanted{
        .name = "mail01",
        .source = {.host = "mail01.example.lan",
                   .connect = "mail01.example.lan:10000",
                   .token_file = "/etc/coldspare/mail01.token"},
        .machine = {.uri = "qemu:///system",
                    .domain = "mail01-standby",
                    .cpus = 4,
                    .memory = std::uint64_t{8} << 30,
                    .firmware = "bios",
                    .disk_bus = "virtio",
                    .disks = {{"sda", "/srv/standby/mail01.img"}},
                    .nics = {{"eth0", "00:0d:61:44:90:12", NicWay::bridge, "br0", ""},
                             {"eth1", "00:0d:61:44:90:13", NicWay::network, "storage", "virtio"}}},
        .fixup = {.holds = {"cyrus-imapd", "postfix"},
                  .initiator_name = "iqn.2026-11.lan.example:mail01-standby",
                  .disable_agents = true},
        .volumes = {{.path = "/var/spool/cyrus",
                     .uuid = "4fd2c3a1-7b0e-4f6e-9a55-0d3c2f1b8e77",
                     .wwid = "naa.60014055f3a1b2c3d4e5f60718293a4b",
                     .target = "iqn.2003-01.org.linux-iscsi.storage1:mail",
                     .portal = "192.0.2.50:3260",
                     .sentinel = ".coldspare-mail01"}},
        .drill = {.boot_timeout = 600,
                  .quarantine = {"cron", "certbot.timer"},
                  .closed_ports = {"143", "tcp/25", "993"}},
        .limits = {.max_age = 35 * 86400, .max_undrilled = 120 * 86400},
        .keep = 2};
    CHECK(read_standby_file(path.parent_path(), "mail01") == wanted);
}

TEST_CASE("what a standby's file does not say has a default") {
    const StandbyFile wanted{.name = "mail01",
                             .source = {.host = "mail", .connect = "mail:10000"},
                             .machine = {.domain = "mail01-standby",
                                         .cpus = 2,
                                         .memory = std::uint64_t{4} << 30,
                                         .disks = {{"sda", "/srv/mail.img"}}}};
    CHECK(parsed(least) == wanted);
    CHECK(parsed(changed("connect = 'mail:10000'", "listen = '10000'")).source.host == "mail01");
}

TEST_CASE("a standby's file that is nearly empty says what it lacks") {
    CHECK(complaints("") == "m.toml: there is no [source]\n"
                            "m.toml: there is no [machine]\n"
                            "m.toml: there is no [[disk]]\n"
                            "m.toml:1: 'format' is missing");
    CHECK(complaints("format = 1\ndisk = []\n[source]\nlisten = '1'\n[machine]\ncpus = 1\n"
                     "memory = '1GiB'\n") == "m.toml: there is no [[disk]]");
    CHECK(complaints("format = 1\n[source]\n[machine]\n[[disk]]\n[[nic]]\n[[volume]]\n") ==
          "m.toml:2: 'source.connect' is missing; write 'listen' if the server connects to us\n"
          "m.toml:3: 'machine.cpus' is missing\n"
          "m.toml:3: 'machine.memory' is missing\n"
          "m.toml:4: 'disk.source' is missing\n"
          "m.toml:4: 'disk.image' is missing\n"
          "m.toml:5: 'nic.name' is missing\n"
          "m.toml:5: 'nic.mac' is missing\n"
          "m.toml:5: 'nic.network' is missing; or write 'bridge', 'user = true' or 'none = true'\n"
          "m.toml:6: 'volume.path' is missing\n"
          "m.toml:6: 'volume.uuid' is missing, or 'wwid': nothing else tells this volume from "
          "others");
}

TEST_CASE("a standby's file of another format is not judged further") {
    CHECK(complaints("nonsense = 1\nformat = 2\n") ==
          "m.toml:2: 'format' is 2, and this program knows 1");
}

TEST_CASE("each value of a standby's file is looked at") {
    struct Row {
        std::string text;
        std::string complaint;
    };
    const std::string connect = "connect = 'mail:10000'";
    const std::string source = "source = 'sda'";
    const std::string image = "image = '/srv/mail.img'";
    const std::vector<Row> rows{
        {changed(connect, "connect = 'mail'"),
         "m.toml:3: 'source.connect' is 'mail', which is neither HOST:PORT nor [IPV6]:PORT"},
        {changed(connect, "listen = '0'"), "m.toml:3: 'source.listen' is '0', which has port 0"},
        {changed(connect, "connect = 'ma il:1'"),
         "m.toml:3: 'source.connect' is 'ma il:1', which is neither the name of a host nor an "
         "address"},
        {changed(connect, "listen = 'all:'"),
         "m.toml:3: 'source.listen' is 'all:', which is neither PORT nor ADDRESS:PORT nor "
         "[IPV6]:PORT"},
        {changed(connect, "listen = '1'\nconnect = 'mail:1'"),
         "m.toml:3: 'source.listen' stands here beside 'connect': one of the two sides listens"},
        {changed(connect, connect + "\nhost = 'a/b'\ntoken_file = 'mail.token'\nused_only = 1"),
         "m.toml:4: 'source.host' is 'a/b', which is neither the name of a host nor an address\n"
         "m.toml:5: 'source.token_file' is 'mail.token', which does not begin with '/'\n"
         "m.toml:6: 'source.used_only' is a number, and true or false is wanted, without quotes"},
        {changed("cpus = 2", "cpus = 0"),
         "m.toml:5: 'machine.cpus' is 0, and must be from 1 to 1024"},
        {changed("'4GiB'", "'4MiB'"),
         "m.toml:6: 'machine.memory' is 4.0 MiB, and must be from 64.0 MiB to 16.0 TiB"},
        {changed("cpus = 2", "cpus = 2\nuri = 'system'\ndomain = 'a/b'\nfirmware = 'efi'"),
         "m.toml:6: 'machine.uri' is 'system', which is no URI of libvirt, as qemu:///system is\n"
         "m.toml:7: 'machine.domain' is 'a/b', which has '/' in it\n"
         "m.toml:8: 'machine.firmware' is 'efi'; did you mean 'uefi'?"},
        {changed("cpus = 2", "cpus = 2\nuri = 'a://b c'\ndomain = \"a\\nb\"\ndisk_bus = 'nvme'"),
         "m.toml:6: 'machine.uri' is 'a://b c', which has a blank in it\n"
         "m.toml:7: 'machine.domain' has control characters in it, or is not UTF-8\n"
         "m.toml:8: 'machine.disk_bus' is 'nvme', and can be: virtio, scsi, sata, ide"},
        {changed("cpus = 2", "cpus = 2\ndomain = ' a'\nacceleration = 'kmv'\nlease = 'no'"),
         "m.toml:6: 'machine.domain' is ' a', which begins or ends with a blank\n"
         "m.toml:7: 'machine.acceleration' is 'kmv'; did you mean 'kvm'?\n"
         "m.toml:8: 'machine.lease' is a text, and true or false is wanted, without quotes"},
        {changed(source, "source = 'sda=x'"),
         "m.toml:8: 'disk.source' is 'sda=x', which is neither the name of a disk nor a serial "
         "number"},
        {changed(image, "image = 'mail.img'"),
         "m.toml:9: 'disk.image' is 'mail.img', which does not begin with '/'"},
        {changed(image, "image = '/srv/../mail.img'"),
         "m.toml:9: 'disk.image' is '/srv/../mail.img', which has '..' in it"},
        {changed(image, "image = '/srv/'"),
         "m.toml:9: 'disk.image' is '/srv/', which ends with '/'"},
        {changed(image, "image = '//srv'"),
         "m.toml:9: 'disk.image' is '//srv', which begins with '/'"},
        {changed(image, "image = '/a//b'"),
         "m.toml:9: 'disk.image' is '/a//b', which has '//' in it"},
        {changed("format = 1", "format = 1\nkeep = 0"),
         "m.toml:2: 'keep' is 0, and must be from 1 to 1000"},
        {with("[fixup]\nhold = 'a b'\ninitiator_name = 'mail'\nskip = ['udev-persistent-nte']\n"
              "key_files = ['key']\n"),
         "m.toml:11: 'fixup.hold' has 'a b', which has other characters than letters, digits and "
         "'@._:-'\n"
         "m.toml:12: 'fixup.initiator_name' is 'mail', which begins with neither 'iqn.' nor "
         "'eui.' nor 'naa.'\n"
         "m.toml:13: 'fixup.skip' has 'udev-persistent-nte', which is no fix; did you mean "
         "'udev-persistent-net'?\n"
         "m.toml:14: 'fixup.key_files' has 'key', which does not begin with '/'"},
        {with("[fixup]\nhold = ['a', 'a']\nholds = 'b'\n"),
         "m.toml:11: 'fixup.hold' has 'a' twice\n"
         "m.toml:12: there is no 'fixup.holds' here; did you mean 'hold'?"},
        {with("[drill]\nboot_timeout = '1s'\nquarantine = '-x'\nclosed_ports = ['0', 'icmp/1']\n"),
         "m.toml:11: 'drill.boot_timeout' is 1s, and must be from 10s to 1d\n"
         "m.toml:12: 'drill.quarantine' has '-x', which begins with '-' or '.'\n"
         "m.toml:13: 'drill.closed_ports' has '0', which is no port, as 143 and udp/53 are\n"
         "m.toml:13: 'drill.closed_ports' has 'icmp/1', which is no port, as 143 and udp/53 are"},
        {with("[limits]\nmax_age = '90m'\nmax_undrilled = '30m'\n"),
         "m.toml:12: 'limits.max_undrilled' is 30m, and must be from 1h to 3650d"}};
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(complaints(row.text) == row.complaint);
    }
}

TEST_CASE("a network card has a name, an address and one cable") {
    struct Row {
        std::string text;
        std::string complaint;
    };
    const std::string head = "[[nic]]\nname = 'eth0'\nmac = '52:54:00:00:00:01'\n";
    const std::vector<Row> rows{
        {"[[nic]]\nname = 'eth/0'\nmac = '52:54:00:00:00'\nnone = true\n",
         "m.toml:11: 'nic.name' is 'eth/0', which is no name of a network interface: 1 to 15 "
         "letters, digits, '.', '-' or '_', as in eth0\n"
         "m.toml:12: 'nic.mac' is '52:54:00:00:00', which is no MAC address of six bytes, as "
         "52:54:00:12:34:56 is"},
        {nic(0, "01:00:5e:00:00:01"), "m.toml:12: 'nic.mac' is '01:00:5e:00:00:01', which is a "
                                      "group address: no network card has it"},
        {nic(0, "fe:54:00:00:00:01"),
         "m.toml:12: 'nic.mac' is 'fe:54:00:00:00:01', which begins with fe: libvirt keeps these "
         "for the host's end of the cable"},
        {nic(0, "52:54:00:00:00:01") + nic(1, "52-54-00-00-00-01"),
         "m.toml:16: 'nic.mac' is '52:54:00:00:00:01', and so it is in line 12"},
        {nic(0, "52:54:00:00:00:01") + nic(0, "52:54:00:00:00:02"),
         "m.toml:15: 'nic.name' is 'eth0', and so it is in line 11"},
        {head + "network = 'a'\nbridge = 'b'\n",
         "m.toml:14: 'nic.bridge' stands here beside 'network': a card has one cable"},
        {head + "user = false\n", "m.toml:13: 'nic.user' is false; leave it out"},
        {head + "network = '../x'\n", "m.toml:13: 'nic.network' is '../x', which has '/' in it"},
        {head + "bridge = 'br 0'\n",
         "m.toml:13: 'nic.bridge' is 'br 0', which is no name of a network interface: 1 to 15 "
         "letters, digits, '.', '-' or '_', as in eth0"},
        {head + "user = true\nmodel = 'e100'\n",
         "m.toml:14: 'nic.model' is 'e100'; did you mean 'e1000'?"}};
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(complaints(with(row.text)) == row.complaint);
    }
    CHECK(parsed(with(nic(0, "000D.6144.9012"))).machine.nics.at(0).mac == "00:0d:61:44:90:12");
    CHECK(parsed(with(head + "none = true\n")).machine.nics.at(0).way == NicWay::none);
}

TEST_CASE("a volume can be told from all others") {
    const std::string head = "[[volume]]\npath = '/srv/mail'\n";
    CHECK(complaints(with(head + "uuid = 'x y'\nwwid = 'a/b'\n")) ==
          "m.toml:12: 'volume.uuid' is 'x y', which has other characters than letters, digits and "
          "'-'\n"
          "m.toml:13: 'volume.wwid' is 'a/b', which has other characters than letters, digits and "
          "'-._:'");
    CHECK(complaints(with(head + "uuid = '1'\ntarget = 'iqn.2000-01.com.nas:T 1'\n")) ==
          "m.toml:10: 'volume.portal' is missing: iSCSI needs both\n"
          "m.toml:13: 'volume.target' is 'iqn.2000-01.com.nas:T 1', which has other characters "
          "than letters, digits and '.:-_'");
    CHECK(complaints(with(head + "uuid = '1'\nportal = 'a b'\nsentinel = '/x'\n")) ==
          "m.toml:10: 'volume.target' is missing: iSCSI needs both\n"
          "m.toml:13: 'volume.portal' is 'a b', which is neither HOST:PORT nor [IPV6]:PORT\n"
          "m.toml:14: 'volume.sentinel' is '/x', which begins with '/'");
    CHECK(complaints(with("[[volume]]\npath = '/'\nuuid = '1'\n" + head + "uuid = '1'\n")) ==
          "m.toml:11: 'volume.path' is '/', which is the system itself, and that is cloned\n"
          "m.toml:15: 'volume.uuid' is '1', and so it is in line 12");
    const StandbyFile two = parsed(
        with(head + "uuid = '1'\ntarget = 'iqn.2000-01.com.nas:Mail.1'\nportal = '[fd00::1]'\n"));
    CHECK(two.volumes.at(0).portal == "[fd00::1]:3260");
}

TEST_CASE("two disks have two images, and IDE has no room for five") {
    const std::string same = "[[disk]]\nsource = 'sda'\nimage = '/srv/mail.img'\n";
    CHECK(complaints(with(same)) ==
          "m.toml:11: 'disk.source' is 'sda', and so it is in line 8\n"
          "m.toml:12: 'disk.image' is '/srv/mail.img', and so it is in line 9");
    std::string five = changed("cpus = 2", "cpus = 2\ndisk_bus = 'ide'");
    for (int i = 1; i < 5; ++i) {
        five += fmt::format("[[disk]]\nsource = 's{}'\nimage = '/srv/{}'\n", i, i);
    }
    CHECK(complaints(five) ==
          "m.toml:6: 'machine.disk_bus' is 'ide', which takes 4 disks, and there are 5");
}

TEST_CASE("a device has no generations") {
    const std::string device = changed("image = '/srv/mail.img'", "image = '/dev/vg0/mail'");
    CHECK(parsed(device).keep == 1);
    CHECK(complaints("keep = 2\n" + device) ==
          "m.toml:1: 'keep' is 2, and the device '/dev/vg0/mail' has room for one generation");
}

TEST_CASE("a standby's file has limits") {
    std::string nics;
    for (int i = 0; i < 17; ++i) {
        nics += nic(i, fmt::format("52:54:00:00:00:{:02x}", i));
    }
    CHECK(complaints(with(nics)) == "m.toml:10: 'nic' stands here 17 times, and 16 are the most");
    std::string services;
    for (int i = 0; i < 257; ++i) {
        services += fmt::format("'s{}',", i);
    }
    CHECK(complaints(with(fmt::format("[fixup]\nhold = [{}]\n", services))) ==
          "m.toml:11: 'fixup.hold' has 257 entries, and 256 are the most");
}

TEST_CASE("a standby is called as its file is") {
    const Error error = thrown_by([] { static_cast<void>(parse_standby_file("a b.toml", least)); });
    CHECK(error.message() == "a b.toml: the file is not called NAME.toml with a name of 1 to 64 "
                             "letters, digits, '-', '_' and '.'");
    for (const char* name : {"m", "mail01", "a.b-c_d", "9"}) {
        CAPTURE(name);
        CHECK(is_standby_name(name));
    }
    for (const std::string& name :
         {std::string(), std::string("-a"), std::string("a/b"), std::string(".a"),
          std::string("a.runbook"), std::string(65, 'a'), std::string("ä")}) {
        CAPTURE(name);
        CHECK_FALSE(is_standby_name(name));
    }
}

TEST_CASE("standbys are the files of a directory, and a name that is none has a neighbour") {
    const TemporaryDirectory directory;
    for (const char* name : {"web.toml", "mail01.toml", "mail01.runbook.toml", "a b.toml", "x"}) {
        write_file_atomically(directory / name, least);
    }
    CHECK(standby_names(directory / "") == std::vector<std::string>{"mail01", "web"});
    CHECK(standby_names("/nonexistent").empty());
    CHECK(read_standby_file(directory / "", "web").name == "web");
    const auto reading = [&](std::string_view name) {
        return thrown_by([&] { static_cast<void>(read_standby_file(directory / "", name)); });
    };
    const Error slip = reading("mial01");
    CHECK(slip.status() == ExitStatus::usage);
    CHECK(slip.message() == fmt::format("there is no standby 'mial01': '{}' does not exist",
                                        (directory / "mial01.toml").string()));
    CHECK(slip.hint() == "did you mean 'mail01'?");
    CHECK(reading("files").hint() == "make one: coldspare standby init files");
    CHECK(reading("../web").message() == "'../web' is no name of a standby");
}

} // namespace coldspare::standby
