#include "standby/domain_mark.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace coldspare::standby;

namespace {

std::string marked(std::string_view element) {
    return fmt::format("<domain><name>x</name><metadata>{}</metadata></domain>", element);
}

constexpr std::string_view ours =
    "<c:domain xmlns:c='https://coldspare.invalid/domain/1' standby='mail01' kind='cold'/>";

} // namespace

TEST_CASE("a mark comes back from what libvirt keeps") {
    CHECK(parse_domain_mark(marked(ours)) == DomainMark{"mail01", "cold"});
    CHECK(parse_domain_mark(marked(fmt::format("<o:os xmlns:o='http://libosinfo.org'/>{}",
                                               ours))) == DomainMark{"mail01", "cold"});
    CHECK(parse_domain_mark(marked("<domain xmlns='https://coldspare.invalid/domain/1' "
                                   "standby='m' kind='drill' version='9'/>")) ==
          DomainMark{"m", "drill"});
    const XmlElement network{.name = "network",
                             .children = {metadata_of({"mail01", "drill"}, "0.1.0")}};
    CHECK(parse_network_mark(write_xml(network)) == DomainMark{"mail01", "drill"});
    CHECK(parse_domain_mark(write_xml(network)) == std::nullopt);
}

TEST_CASE("what is not marked by us has no mark") {
    for (const std::string& xml :
         {std::string(), std::string("no XML"), std::string("<domain/>"), marked(""),
          marked("<c:domain xmlns:c='https://example.com/' standby='m' kind='cold'/>"),
          marked("<c:domain standby='m' kind='cold'/>"),
          marked("<c:other xmlns:c='https://coldspare.invalid/domain/1' standby='m' "
                 "kind='cold'/>"),
          marked("<c:domain xmlns:c='https://coldspare.invalid/domain/1' standby='m'/>"),
          marked("<c:domain xmlns:c='https://coldspare.invalid/domain/1' standby='m' "
                 "kind='warm'/>"),
          marked("<c:domain xmlns:c='https://coldspare.invalid/domain/1' standby='../m' "
                 "kind='cold'/>"),
          marked("<c:domain xmlns:c='https://coldspare.invalid/domain/1' standby='' "
                 "kind='cold'/>"),
          fmt::format("<network><metadata>{}</metadata></network>", ours),
          fmt::format("<domain><devices>{}</devices></domain>", ours)}) {
        CAPTURE(xml);
        CHECK(parse_domain_mark(xml) == std::nullopt);
    }
}
