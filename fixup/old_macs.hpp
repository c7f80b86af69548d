#pragma once

#include "base/inventory.hpp"
#include "fixup/file_tree.hpp"
#include "fixup/mac.hpp"
#include "fixup/nic.hpp"

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// A place of a file that finds a card by its address.
struct FileSite {
    std::string path;
    MacSite site;
};

/// The addresses that interfaces had on the server.
struct OldMacs {
    std::map<std::string, std::set<std::string>> by_name;
    std::vector<std::string> warnings; ///< where two sources disagree
};

/// What kind of network configuration a path is, as the function that finds addresses in it; null
/// for any other file. Backups that the system does not read (ifcfg-eth0.bak, *~) are none.
using SiteFinder = std::vector<MacSite> (*)(std::string_view text);
[[nodiscard]] SiteFinder finder_for(std::string_view path);

/// What finder_for() knows, as patterns (file_tree.hpp).
[[nodiscard]] std::span<const std::string_view> site_patterns();

/// Every address by which one of these files finds a card, rules of udev included.
[[nodiscard]] std::vector<FileSite> sites_in(const FileTree& files);

/// Which address each interface had. The server's inventory knows best: where it has the card, only
/// its permanent address counts, and a file that says another is a warning. Without it, all that
/// the copy's own files say count. Addresses that `nics` gives to the name are no old ones: they
/// stand in what was mended already.
[[nodiscard]] OldMacs old_macs(const FileTree& files, const std::optional<Inventory>& inventory,
                               std::span<const NicBinding> nics);

/// Old address to new for the cards of the VM. A card that keeps its address is not in it. An old
/// address that is another card's new one (two swap) is left out once the copy's own files give it
/// to that name: looked up again, it would go back.
[[nodiscard]] MacMap mac_map(const FileTree& files, const OldMacs& old,
                             std::span<const NicBinding> nics);

} // namespace coldspare::fixup
