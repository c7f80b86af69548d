#include "standby/network_xml.hpp"

#include "standby/domain_mark.hpp"
#include "tests/support/domain_examples.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::standby;

TEST_CASE("a drill's network leads nowhere and is marked") {
    const std::string xml = drill_network_xml(mail01(), "0.1.0");
    CHECK_FALSE(contains(xml, "<forward"));
    CHECK_FALSE(contains(xml, "<ip"));
    CHECK_FALSE(contains(xml, "<dhcp"));
    CHECK(contains(xml, "<name>coldspare-drill-mail01</name>"));
    CHECK(parse_network_mark(xml) == DomainMark{"mail01", "drill"});
}

TEST_CASE("the bridge of a drill has a name of its own that the kernel takes") {
    StandbyFile other = mail01();
    other.name = "mail02";
    CHECK(drill_bridge_name(mail01()).size() == 14);
    CHECK(drill_bridge_name(mail01()) != drill_bridge_name(other));
    CHECK(drill_network_name(mail01()) != drill_network_name(other));
    CHECK(contains(drill_network_xml(other, ""), drill_bridge_name(other)));
}
