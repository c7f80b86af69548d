// Any bytes as a file of netplan: sites lie in the text, in order, and are addresses.
#include "fixup/mac_sites.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace coldspare::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::vector<MacSite> sites = sites_in_netplan(text);
    MacMap map;
    std::size_t last = 0;
    for (const MacSite& site : sites) {
        if (site.begin < last || site.end > text.size() ||
            read_mac(text.substr(site.begin, site.end - site.begin)) != site.mac) {
            std::abort();
        }
        map[site.mac] = "52:54:00:ab:cd:ef";
        last = site.end;
    }
    const std::string once = with_macs(text, sites, map, {});
    if (once.size() != text.size() || sites_in_netplan(once).size() != sites.size()) {
        std::abort();
    }
    return 0;
}
