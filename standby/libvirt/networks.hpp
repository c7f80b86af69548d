#pragma once

#include "standby/libvirt/library.hpp"

#include <string>
#include <vector>

/// The networks of libvirt, for LibvirtHypervisor. The embedded driver has none.
namespace coldspare::standby::libvirt {

[[nodiscard]] std::vector<std::string> active_networks(virConnectPtr connection);
void create_network(virConnectPtr connection, const std::string& xml);
void remove_network(virConnectPtr connection, const std::string& network);
[[nodiscard]] std::string network_xml(virConnectPtr connection, const std::string& network);

} // namespace coldspare::standby::libvirt
