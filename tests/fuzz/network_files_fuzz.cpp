// Any bytes as a network configuration of each family: sites lie in the text and in order, only
// addresses change, and a second run changes nothing.
#include "fixup/mac_sites.hpp"
#include "fixup/mentions.hpp"
#include "fixup/udev_rewrite.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace coldspare::fixup;

namespace {

void require(bool good) {
    if (!good) {
        std::abort();
    }
}

void check(std::string_view text, std::vector<MacSite> (*find)(std::string_view)) {
    MacMap map;
    std::size_t last = 0;
    const std::vector<MacSite> sites = find(text);
    for (const MacSite& site : sites) {
        require(site.begin >= last && site.end > site.begin && site.end <= text.size());
        require(read_mac(text.substr(site.begin, site.end - site.begin)) == site.mac);
        map[site.mac] = "52:54:00:ab:cd:ef";
        last = site.end;
    }
    const std::string once = with_macs(text, sites, map, {});
    require(once.size() == text.size());
    const std::vector<MacSite> again = find(once);
    require(again.size() == sites.size());
    for (const MacSite& site : again) {
        require(site.mac == "52:54:00:ab:cd:ef");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto find : {sites_in_ifcfg, sites_in_keyfile, sites_in_networkd, sites_in_iftab,
                            sites_in_interfaces}) {
        check(text, find);
    }
    static_cast<void>(bindings_in_rules(text));
    static_cast<void>(lines_with_macs(text, {"00:1e:67:aa:bb:cc"}));
    return 0;
}
