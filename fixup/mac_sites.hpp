#pragma once

#include "fixup/mac.hpp"

#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// Where the network configuration of each family finds a card by its address. All of them are pure
/// functions of any bytes, never throw, and read at most 20000 lines; the sites come in the order
/// of the text and do not overlap.

/// ifcfg-* of Red Hat and SUSE: HWADDR= (quoted or not), the name from DEVICE= or NAME=; and
/// eth-id-MAC in any value of SUSE's (BONDING_SLAVE0=, ETHERDEVICE=). Not MACADDR= nor LLADDR=.
[[nodiscard]] std::vector<MacSite> sites_in_ifcfg(std::string_view text);

/// NetworkManager's keyfiles: mac-address= and mac-address-denylist= (before 1.50 -blacklist=) of
/// [ethernet] or [802-3-ethernet], the name from interface-name=. Not cloned-mac-address=.
[[nodiscard]] std::vector<MacSite> sites_in_keyfile(std::string_view text);

/// *.link of udev, and *.network of systemd-networkd: MACAddress= and PermanentMACAddress= of
/// [Match]; the name from Name= of [Link] (then the file names the card) or of [Match].
[[nodiscard]] std::vector<MacSite> sites_in_networkd(std::string_view text);

/// /etc/iftab and /etc/mactab of nameif and ifrename: "eth0 mac 00:0d:61:44:90:12 arp 1", and
/// without the word mac.
[[nodiscard]] std::vector<MacSite> sites_in_iftab(std::string_view text);

/// /etc/network/interfaces: "map MAC name" of a mapping, and /mac/MAC or mac/MAC patterns of
/// rename, auto and allow-*. Not hwaddress.
[[nodiscard]] std::vector<MacSite> sites_in_interfaces(std::string_view text);

/// netplan's YAML (fixup/netplan_yaml.cpp): macaddress under match; the name from set-name (then
/// the file names the card), or the id of the device. Nothing of what is no YAML.
[[nodiscard]] std::vector<MacSite> sites_in_netplan(std::string_view text);

} // namespace coldspare::fixup
