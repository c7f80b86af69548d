#include "base/error.hpp"
#include "standby/domain_xml.hpp"
#include "tests/support/domain_examples.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::standby;

namespace {

using Sentences = std::vector<std::string>;

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    const std::size_t at = text.find(what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), with);
}

std::string wanted() {
    const StandbyFile standby = mail01();
    return domain_xml(input_of(standby));
}

} // namespace

TEST_CASE("a domain is not different from itself, nor in what libvirt writes for it") {
    const std::string xml = wanted();
    CHECK(domain_differences(xml, xml).empty());
    std::string defined = replaced(xml, "machine=\"q35\"", "machine=\"pc-q35-7.2\"");
    defined = replaced(defined, "<vcpu>", "<vcpu placement='static'>");
    defined = replaced(defined, "<controller type=\"usb\" model=\"none\" />",
                       "<controller type='usb' index='0' model='none'/>"
                       "<controller type='pci' index='0' model='pcie-root'/>");
    defined = replaced(defined, "</devices>", "<input type='mouse' bus='ps2'/></devices>");
    CHECK(domain_differences(xml, defined).empty());
}

TEST_CASE("another version of coldspare makes no difference") {
    const std::string xml = wanted();
    CHECK(domain_differences(xml, replaced(xml, "version=\"0.1.0\"", "version=\"0.0.9\"")).empty());
}

TEST_CASE("what is not as it should be is named with both values") {
    struct Row {
        std::string_view what;
        std::string_view with;
        std::string_view sentence;
    };
    const std::vector<Row> rows{
        {"<vcpu>2</vcpu>", "<vcpu>3</vcpu>", "vcpu is '3', not '2'"},
        {"<vcpu>2</vcpu>", "", "vcpu is missing"},
        {"machine=\"q35\"", "machine=\"pc-i440fx-7.2\"",
         "os, type: machine is 'pc-i440fx-7.2', not 'q35'"},
        {"sda.qcow2", "old.qcow2",
         "disk 'vda', source: file is '/srv/coldspare/mail01/old.qcow2', not "
         "'/srv/coldspare/mail01/sda.qcow2'"},
        {"network=\"lan\"", "network=\"dmz\"",
         "interface '52:54:00:12:34:56', source: network is 'dmz', not 'lan'"},
        {"type=\"network\"", "type=\"user\"",
         "interface '52:54:00:12:34:56': type is 'user', not 'network'"},
        {"domain type=\"kvm\"", "domain type=\"qemu\"", "domain: type is 'qemu', not 'kvm'"},
        {"kind=\"cold\"", "kind=\"active\"",
         "metadata, coldspare:domain: kind is 'active', not 'cold'"},
        {"order=\"1\"", "", "disk 'vda', boot: order is not '1'"},
        {"</devices>", "<hostdev mode='subsystem' type='pci'/></devices>",
         "hostdev is one more than there should be"},
        {"</devices>", "<interface><mac address='52:54:00:00:00:01'/></interface></devices>",
         "interface '52:54:00:00:00:01' is one more than there should be"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CHECK(domain_differences(wanted(), replaced(wanted(), row.what, row.with)) ==
              Sentences{std::string(row.sentence)});
    }
}

TEST_CASE("a domain without devices says so") {
    CHECK(domain_differences("<domain><devices/></domain>", "<domain/>") ==
          Sentences{"devices is missing"});
}

TEST_CASE("what is no XML has no differences but an error") {
    CHECK_THROWS_AS(static_cast<void>(domain_differences(wanted(), "<domain")), Error);
}

TEST_CASE("a name in a definition cannot write to the terminal") {
    const std::string defined = replaced(wanted(), "<vcpu>2", "<vcpu>\x1b[2J");
    CHECK(domain_differences(wanted(), defined) == Sentences{"vcpu is '?[2J', not '2'"});
}
