#include "standby/network_xml.hpp"

#include "standby/domain_mark.hpp"
#include "standby/domain_xml.hpp"
#include "standby/name_uuid.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::standby {

namespace {

std::string network_uuid(const StandbyFile& standby) {
    return name_uuid(fmt::format("network/{}", domain_uuid(standby)));
}

} // namespace

std::string drill_network_name(const StandbyFile& standby) {
    return fmt::format("coldspare-drill-{}", standby.name);
}

std::string drill_bridge_name(const StandbyFile& standby) {
    std::string digits = network_uuid(standby);
    std::erase(digits, '-');
    return "csd" + digits.substr(0, 11);
}

std::string drill_network_xml(const StandbyFile& standby, std::string_view version) {
    XmlElement network{.name = "network"};
    network.children.push_back({.name = "name", .text = drill_network_name(standby)});
    network.children.push_back({.name = "uuid", .text = network_uuid(standby)});
    network.children.push_back(metadata_of({.standby = standby.name, .kind = "drill"}, version));
    // A server that bridges two of its cards makes a loop here; the spanning tree cuts it.
    network.children.push_back(
        {.name = "bridge",
         .attributes = {{"name", drill_bridge_name(standby)}, {"stp", "on"}, {"delay", "0"}}});
    network.children.push_back({.name = "dns", .attributes = {{"enable", "no"}}});
    return write_xml(network);
}

} // namespace coldspare::standby
