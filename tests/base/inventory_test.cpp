#include "base/inventory.hpp"

#include "base/error.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace coldspare;

namespace {

Inventory everything() {
    return {.created = "2026-11-22T03:05:14Z",
            .program = "coldspare 0.1.0",
            .hostname = "mail",
            .system = "Debian GNU/Linux 4.0 (etch)",
            .architecture = "x86_64",
            .cpus = 8,
            .cpu_model = "Some CPU",
            .memory = 17179869184,
            .kernel = "2.6.18-6-amd64",
            .cmdline = "root=/dev/sda1 ro quiet",
            .modules = {"e1000", "ext3"},
            .firmware = "uefi",
            .secure_boot = false,
            .boot_disk = "/dev/sda",
            .root_uuid = "4fd2",
            .root_disks = {"/dev/sda", "/dev/sdb"},
            .nics = {{.name = "eth0",
                      .permanent_mac = "00:0d:61:44:90:12",
                      .mac = "00:0d:61:44:90:13",
                      .kind = NicKind::physical,
                      .driver = "e1000",
                      .bus_address = "0000:02:00.0",
                      .master = "bond0",
                      .altnames = {"enp2s0"},
                      .name_assign_type = 4,
                      .speed = 1000,
                      .up = true},
                     {.name = "bond0.5",
                      .mac = "00:0d:61:44:90:13",
                      .kind = NicKind::vlan,
                      .lower = "bond0",
                      .vlan_id = 5,
                      .addresses = {"192.0.2.10/24", "2001:db8::1/64"}}},
            .disks = {{.name = "/dev/sda",
                       .size = 1000204886016,
                       .logical_sector = 512,
                       .model = "ST1000",
                       .serial = "Z1",
                       .wwn = "naa.5000c5",
                       .by_id = {"ata-ST1000_Z1"},
                       .by_path = {"pci-0000:00:1f.2-ata-1"}}},
            .file_systems = {{"/dev/sda1", "ext3", "4fd2", "root", "00a1-01"}},
            .mapped = {{"vg0-root", "LVM-x", {"sda2"}}},
            .iscsi_sessions = {{.target = "iqn.2003-01.org.nas:mail",
                                .portal = "192.0.2.50:3260",
                                .address = "192.0.2.51:3261",
                                .initiator = "iqn.1993-08.org.debian:01",
                                .disks = {"/dev/sdb"}}},
            .fstab = "/dev/sda1\t/ ext3 errors=remount-ro 0 1\n",
            .crypttab = "data UUID=1 none luks\n",
            .mdstat = "Personalities : [raid1]\n",
            .multipath_bindings = "mpatha 3600\n",
            .initramfs_tool = "update-initramfs",
            .glibc_version = "2.3.6",
            .systemd_version = "252",
            .services_enabled = {"ssh.service"},
            .services_active = {"cron.service"},
            .selinux = "disabled",
            .selinux_configured = "permissive",
            .tpm = true,
            .tpm_bindings = {"data"}};
}

std::string reason_for(std::string_view text) {
    try {
        static_cast<void>(parse_inventory(text));
        return {};
    } catch (const Error& error) {
        return error.message();
    }
}

std::string with(std::string_view member) {
    return fmt::format(R"({{"version":1,{}}})", member);
}

} // namespace

TEST_CASE("an inventory comes back as it was written") {
    CHECK(parse_inventory(encode_inventory(everything())) == everything());
    CHECK(parse_inventory(encode_inventory({})) == Inventory{});
}

TEST_CASE("an inventory is one line") {
    CHECK(encode_inventory(everything()).find('\n') == std::string::npos);
}

TEST_CASE("what a later version adds to an inventory is ignored") {
    CHECK(parse_inventory(with(R"("later":[1,{"a":2}],"hostname":"mail")")).hostname == "mail");
    const Inventory odd = parse_inventory(with(R"("nics":[{"name":"a0","kind":"quantum"}])"));
    CHECK(odd.nics.at(0).kind == NicKind::other);
}

TEST_CASE("what an inventory lacks is empty") {
    CHECK(parse_inventory(R"({"version":1})") == Inventory{});
    CHECK(parse_inventory(with(R"("hostname":null)")) == Inventory{});
}

TEST_CASE("an inventory says what is wrong with it") {
    const std::string prefix = "the inventory is not readable: ";
    const std::string long_text(4097, 'x');
    struct Row {
        std::string text;
        std::string reason;
    };
    const std::vector<Row> rows{
        {"", "it is no JSON object"},
        {"{", "it is no JSON object"},
        {"[]", "it is no JSON object"},
        {"{}", "'version' is 0, and this program knows 1"},
        {R"({"version":2})", "'version' is 2, and this program knows 1"},
        {R"({"version":"1"})", "'version' is not a number up to 4294967295"},
        {with(R"("hostname":1)"), "'hostname' is not a text of up to 4096 bytes"},
        {with(fmt::format(R"("hostname":"{}")", long_text)),
         "'hostname' is not a text of up to 4096 bytes"},
        {with(fmt::format(R"("fstab":"{}")", std::string(128 * 1024 + 1, 'x'))),
         "'fstab' is not a text of up to 131072 bytes"},
        {with(R"("modules":"ext4")"), "'modules' is not a list of up to 4096"},
        {with(R"("modules":[1])"), "'modules' is not a text of up to 4096 bytes"},
        {with(R"("tpm":1)"), "'tpm' is neither true nor false"},
        {with(R"("nics":[1])"), "'nics[0]' is no object"},
        {with(R"("nics":[{}])"), "'nics[0].name' is missing"},
        {with(R"("nics":[{"name":"eth0"},{"name":"a b"}])"),
         "'nics[1].name' is no name of an interface"},
        {with(R"("nics":[{"name":"eth0\", RUN+=\"x"}])"),
         "'nics[0].name' is no name of an interface"},
        {with(R"("nics":[{"name":"eth0","mac":"00:0d"}])"), "'nics[0].mac' is no MAC address"},
        {with(R"("nics":[{"name":"eth0","altnames":["a/b"]}])"),
         "'nics[0].altnames' has what is no name of an interface"},
        {with(R"("disks":[{"size":-1}])"),
         "'disks[0].size' is not a number up to 18446744073709551615"},
        {with(R"("cpus":-1)"), "'cpus' is not a number up to 4294967295"},
        {with(R"("iscsi_sessions":[{"target":1}])"),
         "'iscsi_sessions[0].target' is not a text of up to 4096 bytes"},
        {with(R"("a":[[[[1]]]])"), "it is nested too deep"},
        {std::string(1048577, ' '), "it has 1048577 bytes, and 1048576 are the most"}};
    for (const Row& row : rows) {
        CAPTURE(row.text.substr(0, 80));
        CHECK(reason_for(row.text) == prefix + row.reason);
    }
}

TEST_CASE("a list of an inventory ends at its limit") {
    std::string list = "\"x\"";
    for (int i = 1; i < 4096; ++i) {
        list += ",\"x\"";
    }
    CHECK(parse_inventory(with(fmt::format(R"("modules":[{}])", list))).modules.size() == 4096);
    CHECK(reason_for(with(fmt::format(R"("modules":[{},"x"])", list)))
              .ends_with("'modules' is not a list of up to 4096"));
}

TEST_CASE("what an inventory would do to a terminal is taken out") {
    const Inventory odd =
        parse_inventory(with(R"("hostname":"a\u001b[2J","fstab":"a\tb\u0007\n")"));
    CHECK(odd.hostname == "a?[2J");
    CHECK(odd.fstab == "a\tb?\n");
}

TEST_CASE("an inventory that is too large keeps what a copy cannot do without") {
    Inventory all = everything();
    all.fstab = "# é\n";
    all.mdstat.assign(longest_inventory_file + 1, 'x');
    all.hostname.assign(longest_inventory_text + 1, 'x');
    all.services_active.assign(5000, std::string(1000, 'x'));
    all.modules.assign(5000, "ext4");
    all.disks[0].by_id.assign(5000, std::string(1000, 'y'));
    all.nics.push_back({.name = "two words"});
    const std::string text = encode_inventory(all);
    CHECK(text.size() <= largest_inventory);
    const Inventory kept = parse_inventory(text);
    CHECK(kept.nics == everything().nics);
    CHECK(kept.fstab == "# é\n");
    CHECK(kept.mdstat.empty());
    CHECK(kept.hostname.empty());
    CHECK(kept.services_active.empty());
    CHECK(kept.disks.size() == 1);
}

TEST_CASE("bytes that are not UTF-8 do not make an inventory unreadable") {
    Inventory all;
    all.hostname.assign(1300, '\xff');
    all.fstab.assign(40000, '\x01');
    CHECK_NOTHROW(parse_inventory(encode_inventory(all)));
}

TEST_CASE("a MAC address has one notation") {
    CHECK(normal_mac("00:0D:61:44:90:12") == "00:0d:61:44:90:12");
    CHECK(normal_mac("00-0d-61-44-90-12\n") == "00:0d:61:44:90:12");
    CHECK(normal_mac("000d.6144.9012") == "00:0d:61:44:90:12");
    CHECK(normal_mac("80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:00:01").size() == 59);
    for (const char* none :
         {"", "00:00:00:00:00:00", "00:0d:61:44:90", "00:0d:61:44:90:1", "x", "00:0d:61:44:90:12 x",
          "00:11:22:33:44:55:66:77:88:99:00:11:22:33:44:55:66:77:88:99:00"}) {
        CAPTURE(none);
        CHECK(normal_mac(none).empty());
    }
}

TEST_CASE("the name of an interface needs no quoting") {
    for (const char* name : {"eth0", "enp0s31f6", "br-1a2b", "eth0.5", "wlx00c0ca"}) {
        CAPTURE(name);
        CHECK(is_interface_name(name));
    }
    for (const char* name : {"", ".", "..", "a b", "a/b", "eth0:1", "a\"b", "a\nb", "é"}) {
        CAPTURE(name);
        CHECK_FALSE(is_interface_name(name));
    }
}
