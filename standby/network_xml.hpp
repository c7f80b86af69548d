#pragma once

#include "standby/standby_file.hpp"

#include <string>
#include <string_view>

/// The network that a drill has instead of the real ones, as libvirt's XML
/// (https://libvirt.org/formatnetwork.html).
namespace coldspare::standby {

/// One for each standby of a hypervisor.
[[nodiscard]] std::string drill_network_name(const StandbyFile& standby);

/// Of its bridge: 14 characters, where an interface's name has room for 15. It is made from the
/// standby's name and its first MAC.
[[nodiscard]] std::string drill_bridge_name(const StandbyFile& standby);

/// A bridge without an uplink: no <forward>, no address of the host, so neither DHCP nor DNS. It is
/// marked as the drill's of that standby (parse_network_mark()).
[[nodiscard]] std::string drill_network_xml(const StandbyFile& standby, std::string_view version);

} // namespace coldspare::standby
