// Any bytes as what libvirt says of a domain or a network: it is read or refused with an Error,
// what was read comes back when it is written once more, and a mark is a name and a kind, no more.
#include "base/error.hpp"
#include "standby/domain_xml.hpp"
#include "standby/xml.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

using namespace coldspare;
using namespace coldspare::standby;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_mark(const std::optional<DomainMark>& mark) {
    if (mark) {
        require(!mark->standby.empty() && mark->standby.find('/') == std::string::npos);
        require(mark->kind == "cold" || mark->kind == "drill" || mark->kind == "active");
    }
}

constexpr std::string_view wanted =
    "<domain type='kvm'><name>m</name><os><type machine='q35'>hvm</type></os><devices>"
    "<disk type='file'><source file='/a'/><target dev='vda'/></disk>"
    "<interface type='user'><mac address='52:54:00:00:00:01'/></interface></devices></domain>";

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_mark(parse_domain_mark(text));
    check_mark(parse_network_mark(text));
    try {
        static_cast<void>(domain_differences(wanted, text));
        require(domain_differences(text, text).empty());
        // Blanks between elements and the order of texts and elements are lost the first time.
        const XmlElement once = parse_xml(write_xml(parse_xml(text)));
        require(parse_xml(write_xml(once)) == once);
    } catch (const Error& error) {
        require(!error.message().empty());
    }
    return 0;
}
