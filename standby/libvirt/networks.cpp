#include "standby/libvirt/networks.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace coldspare::standby::libvirt {

namespace {

/// Nothing if there is none of that name.
Network look_up(virConnectPtr connection, const std::string& network) {
    Network found(library().find_network(connection, network.c_str()));
    const int number = found ? VIR_ERR_OK : last_error_number();
    if (!found && number != VIR_ERR_NO_NETWORK && number != VIR_ERR_NO_SUPPORT) {
        throw libvirt_error(about("looking for the network", network));
    }
    return found;
}

} // namespace

std::vector<std::string> active_networks(virConnectPtr connection) {
    virNetworkPtr* list = nullptr;
    const int count = library().list_networks(connection, &list, VIR_CONNECT_LIST_NETWORKS_ACTIVE);
    if (count < 0 && last_error_number() == VIR_ERR_NO_SUPPORT) {
        return {};
    }
    if (count < 0) {
        throw libvirt_error("listing the networks");
    }
    const Handle<virNetworkPtr, std::free> owner(list);
    std::vector<Network> owned;
    for (int i = 0; i < count; ++i) {
        owned.emplace_back(list[i]);
    }
    std::vector<std::string> names;
    for (const Network& network : owned) {
        names.emplace_back(library().network_name(network.get()));
    }
    std::ranges::sort(names);
    return names;
}

void create_network(virConnectPtr connection, const std::string& xml) {
    const Network made(library().create_network(connection, xml.c_str()));
    if (!made && last_error_number() == VIR_ERR_NO_SUPPORT) {
        throw Error("the hypervisor has no networks of libvirt",
                    "run libvirtd and say uri = \"qemu:///system\" in the standby's file");
    }
    if (!made) {
        throw libvirt_error("making a network");
    }
}

void remove_network(virConnectPtr connection, const std::string& network) {
    const Network found = look_up(connection, network);
    if (!found) {
        return;
    }
    const int persistent = library().is_network_persistent(found.get());
    const int active = library().is_network_active(found.get());
    if (persistent < 0 || active < 0 ||
        (active == 1 && library().destroy_network(found.get()) != 0) ||
        (persistent == 1 && library().undefine_network(found.get()) != 0)) {
        throw libvirt_error(about("removing the network", network));
    }
}

std::string network_xml(virConnectPtr connection, const std::string& network) {
    const Network found = look_up(connection, network);
    if (!found) {
        throw Error(fmt::format("the hypervisor has no network '{}'", printable(network)),
                    "'virsh net-list --all' shows those that it has");
    }
    const Text text(library().network_xml(found.get(), 0));
    if (!text) {
        throw libvirt_error(about("looking at the network", network));
    }
    return text.get();
}

} // namespace coldspare::standby::libvirt
