#include "standby/domain_xml.hpp"

#include "base/files.hpp"
#include "standby/network_xml.hpp"
#include "tests/support/domain_examples.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <set>

using namespace coldspare;
using namespace coldspare::standby;

namespace {

constexpr std::size_t largest_golden = std::size_t{1} << 20;

void check_golden(const std::string& name, const std::string& xml) {
    CAPTURE(name);
    const std::filesystem::path path =
        std::filesystem::path(SOURCE_DIR) / "tests/standby/domains" / name;
    if (std::getenv("COLDSPARE_WRITE_GOLDEN") != nullptr) {
        write_file_atomically(path, xml, 0644);
    }
    CHECK(xml == read_file(path, largest_golden));
}

std::string xml_of(const StandbyFile& standby) {
    return domain_xml(input_of(standby));
}

} // namespace

TEST_CASE("the machines of tests/standby/domains are written as they stand there") {
    std::set<std::string> expected;
    const auto check = [&expected](const std::string& name, const std::string& xml) {
        expected.insert(name);
        check_golden(name, xml);
    };
    for (const DomainExample& example : domain_examples()) {
        const DomainInput input = example.input();
        check(example.name + ".xml", domain_xml(input));
        if (example.with_drill) {
            DrillInput drill = drill_of(input);
            check(example.name + ".drill-user.xml", drill_domain_xml(input, drill));
            drill.network = drill_network_name(example.standby);
            check(example.name + ".drill-network.xml", drill_domain_xml(input, drill));
        }
    }
    check("network.xml", drill_network_xml(mail01(), "0.1.0"));
    std::set<std::string> present;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(SOURCE_DIR) /
                                                                 "tests/standby/domains")) {
        present.insert(entry.path().filename().string());
    }
    CHECK(present == expected);
}

TEST_CASE("a person who looks at the machine is told not to start it") {
    const std::string xml = xml_of(mail01());
    CHECK(contains(xml, "<title>coldspare: cold standby of mail01.example.lan, do not start"));
    CHECK(contains(xml, "Do not start it by hand"));
}

TEST_CASE("the standby at rest is marked cold and its drill as a drill") {
    const StandbyFile standby = mail01();
    const DomainInput input = input_of(standby);
    CHECK(parse_domain_mark(domain_xml(input)) == DomainMark{"mail01", "cold"});
    CHECK(parse_domain_mark(drill_domain_xml(input, drill_of(input))) ==
          DomainMark{"mail01", "drill"});
}

TEST_CASE("the UUID stays with the name and the first MAC") {
    const StandbyFile standby = mail01();
    StandbyFile changed = standby;
    changed.machine.memory *= 2;
    changed.machine.domain = "other";
    CHECK(domain_uuid(standby) == domain_uuid(changed));
    CHECK(domain_uuid(standby) != drill_uuid(standby));
    changed.machine.nics.front().mac = "52:54:00:00:00:01";
    CHECK(domain_uuid(standby) != domain_uuid(changed));
    StandbyFile renamed = standby;
    renamed.name = "mail02";
    CHECK(domain_uuid(standby) != domain_uuid(renamed));
}

TEST_CASE("a drill has no way out, whatever the standby's cards are connected with") {
    for (const DomainExample& example : domain_examples()) {
        CAPTURE(example.name);
        const DomainInput input = example.input();
        DrillInput drill = drill_of(input);
        std::string xml = drill_domain_xml(input, drill);
        CHECK_FALSE(contains(xml, "<interface"));
        drill.network = "isolated";
        xml = drill_domain_xml(input, drill);
        CHECK_FALSE(contains(xml, "bridge="));
        CHECK_FALSE(contains(xml, "type=\"user\""));
        CHECK_FALSE(contains(xml, "network=\"lan\""));
        CHECK_FALSE(contains(xml, "-netdev"));
    }
}

TEST_CASE("a drill writes to no disk of the standby") {
    const StandbyFile standby = mail01();
    const DomainInput input = input_of(standby);
    const std::string xml = drill_domain_xml(input, drill_of(input));
    for (const DomainInput::Disk& disk : input.disks) {
        CHECK_FALSE(contains(xml, disk.path));
    }
    CHECK_FALSE(contains(xml, input.variables_path));
}

TEST_CASE("the guest of a drill sees the standby's UUID and MACs") {
    const StandbyFile standby = mail01();
    const DomainInput input = input_of(standby);
    const std::string xml = drill_domain_xml(input, drill_of(input));
    CHECK(contains(xml, fmt::format("type=1,uuid={}", domain_uuid(standby))));
    CHECK(contains(xml, fmt::format("<uuid>{}</uuid>", drill_uuid(standby))));
    CHECK(contains(xml, "mac=52:54:00:12:34:56"));
}

TEST_CASE("the file has the last word on bus, firmware and cards") {
    StandbyFile standby = mail01();
    standby.machine.disk_bus = "sata";
    standby.machine.firmware = "uefi";
    standby.machine.nics.front().model = "e1000";
    const std::string xml = xml_of(standby);
    CHECK(contains(xml, "bus=\"sata\""));
    CHECK(contains(xml, "OVMF_CODE_4M.fd</loader>"));
    CHECK(contains(xml, "<model type=\"e1000\" />"));
}

TEST_CASE("a machine with IDE is never a q35") {
    StandbyFile standby = mail01();
    standby.machine.disk_bus = "ide";
    CHECK(contains(xml_of(standby), "machine=\"pc\""));
}

TEST_CASE("a card that fixup does not know has the model of its others") {
    StandbyFile standby = mail01();
    standby.machine.nics.front().name = "eth7";
    DomainInput input = input_of(standby);
    input.needs.nics.front().model = "pcnet";
    CHECK(contains(domain_xml(input), "<model type=\"pcnet\" />"));
    input.needs.nics.clear();
    CHECK(contains(domain_xml(input), "<model type=\"virtio\" />"));
    input.needs.disk_bus = "ide";
    CHECK(contains(domain_xml(input), "<model type=\"e1000\" />"));
}

TEST_CASE("memory is rounded up to whole KiB") {
    StandbyFile standby = mail01();
    standby.machine.memory = 1024 * 1024 + 1;
    CHECK(contains(xml_of(standby), "<memory unit=\"KiB\">1025</memory>"));
}

TEST_CASE("UEFI without a firmware on the hypervisor is refused") {
    StandbyFile standby = mail01();
    standby.machine.firmware = "uefi";
    DomainInput input = input_of(standby);
    input.firmware_code.clear();
    const Error error = thrown_by([&] { static_cast<void>(domain_xml(input)); });
    CHECK(error.message() ==
          "the standby 'mail01' starts by UEFI, and the hypervisor has no firmware for that");
    CHECK(error.hint() == "install OVMF there (Debian: 'apt install ovmf')");
    CHECK(error.status() == ExitStatus::usage);
}

TEST_CASE("a fifth disk at IDE is refused") {
    StandbyFile standby = mail01();
    standby.machine.disk_bus = "ide";
    standby.machine.disks.resize(5, {.source = "sdc", .image = "/srv/sdc"});
    const Error error = thrown_by([&] { static_cast<void>(xml_of(standby)); });
    CHECK(error.message() == "the standby 'mail01' has 5 disks; an IDE controller takes 4");
    CHECK(error.hint() == "disk_bus = \"sata\" has room for more, if the copy has its driver");
}

TEST_CASE("what is no MAC of one card is refused") {
    for (const char* mac : {"", "01:00:5e:00:00:01", "52:54:00:12:34", "52:54:00:12:34:5G",
                            "52:54:00:12:34:56,x=y", "52:54:00:12:34:56:78:9a"}) {
        CAPTURE(mac);
        StandbyFile standby = mail01();
        standby.machine.nics.front().mac = mac;
        const Error error = thrown_by([&] { static_cast<void>(xml_of(standby)); });
        CHECK(error.message() == fmt::format("the card 'eth0' cannot have the MAC '{}'", mac));
        CHECK(error.status() == ExitStatus::usage);
    }
}

TEST_CASE("a disk's serial number is the server's name for it, where it can be one") {
    StandbyFile standby = mail01();
    standby.machine.disks[0].source = "WD-WX31A1234567";
    standby.machine.disks[1].source = "a name with blanks";
    const std::string xml = xml_of(standby);
    CHECK(contains(xml, "<serial>WD-WX31A1234567</serial>"));
    CHECK(contains(xml, "<serial>disk2</serial>"));
}
