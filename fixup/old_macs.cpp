#include "fixup/old_macs.hpp"

#include "fixup/mac_sites.hpp"
#include "fixup/rules_files.hpp"
#include "fixup/udev_rewrite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

struct Family {
    std::string_view pattern; ///< of read_files()
    SiteFinder find;
};

constexpr std::array<Family, 10> families{{
    {"/etc/iftab", sites_in_iftab},
    {"/etc/mactab", sites_in_iftab},
    {"/etc/sysconfig/network-scripts/ifcfg-*", sites_in_ifcfg},
    {"/etc/sysconfig/network/ifcfg-*", sites_in_ifcfg},
    {"/etc/NetworkManager/system-connections/*", sites_in_keyfile},
    {"/etc/netplan/*.yaml", sites_in_netplan},
    {"/etc/systemd/network/*.link", sites_in_networkd},
    {"/etc/systemd/network/*.network", sites_in_networkd},
    {"/etc/network/interfaces", sites_in_interfaces},
    {"/etc/network/interfaces.d/*", sites_in_interfaces},
}};

constexpr std::array<std::string_view, families.size()> patterns = [] {
    std::array<std::string_view, families.size()> list{};
    for (std::size_t i = 0; i < families.size(); ++i) {
        list[i] = families[i].pattern;
    }
    return list;
}();

bool is_backup(std::string_view path) {
    constexpr std::array<std::string_view, 7> endings{"~",       ".bak",     ".orig",   ".old",
                                                      ".rpmnew", ".rpmsave", ".rpmorig"};
    return std::ranges::any_of(endings, [&](std::string_view end) { return path.ends_with(end); });
}

bool fits(std::string_view path, std::string_view pattern) {
    const std::size_t star = pattern.find('*');
    if (star == std::string_view::npos) {
        return path == pattern;
    }
    const std::string_view front = pattern.substr(0, star);
    const std::string_view back = pattern.substr(star + 1);
    return path.size() >= front.size() + back.size() && path.starts_with(front) &&
           path.ends_with(back) && path.find('/', front.size()) == std::string_view::npos;
}

/// All paths of the tree that a family reads.
std::vector<std::string> configuration_in(const FileTree& files) {
    std::vector<std::string> paths;
    for (const Family& family : families) {
        const std::size_t slash = family.pattern.rfind('/');
        for (const std::string& path : files.in(family.pattern.substr(0, slash))) {
            if (fits(path, family.pattern) && finder_for(path) != nullptr) {
                paths.push_back(path);
            }
        }
    }
    return paths;
}

/// The card's address by the inventory, of those that are cards.
std::map<std::string, std::string> known_macs(const std::optional<Inventory>& inventory) {
    std::map<std::string, std::string> macs;
    for (const NicFacts& nic : inventory ? inventory->nics : std::vector<NicFacts>{}) {
        const std::string& mac =
            nic.permanent_mac.empty() && nic.master.empty() ? nic.mac : nic.permanent_mac;
        if (nic.kind != NicKind::physical || !read_mac(mac)) {
            continue;
        }
        macs[nic.name] = mac;
        for (const std::string& name : nic.altnames) {
            macs.try_emplace(name, mac);
        }
    }
    return macs;
}

} // namespace

SiteFinder finder_for(std::string_view path) {
    if (is_backup(path)) {
        return nullptr;
    }
    const auto found = std::ranges::find_if(
        families, [path](const Family& family) { return fits(path, family.pattern); });
    return found == families.end() ? nullptr : found->find;
}

std::span<const std::string_view> site_patterns() {
    return patterns;
}

std::vector<FileSite> sites_in(const FileTree& files) {
    std::vector<FileSite> sites;
    for (const auto& [path, content] : readable_rules(files)) {
        for (RuleBinding& rule : bindings_in_rules(content)) {
            sites.push_back({.path = path,
                             .site = {.line = rule.line,
                                      .mac = std::move(rule.mac),
                                      .name = std::move(rule.name),
                                      .kind = SiteKind::names}});
        }
    }
    for (const std::string& path : configuration_in(files)) {
        if (const std::string* text = files.text(path)) {
            for (MacSite& site : finder_for(path)(*text)) {
                sites.push_back({.path = path, .site = std::move(site)});
            }
        }
    }
    return sites;
}

OldMacs old_macs(const FileTree& files, const std::optional<Inventory>& inventory,
                 std::span<const NicBinding> nics) {
    OldMacs old;
    const std::map<std::string, std::string> known = known_macs(inventory);
    for (const auto& [name, mac] : known) {
        old.by_name[name] = {mac};
    }
    for (const FileSite& found : sites_in(files)) {
        const MacSite& site = found.site;
        const auto nic = std::ranges::find(nics, site.name, &NicBinding::name);
        if (nic == nics.end() || nic->mac == site.mac) {
            continue;
        }
        const auto of_card = known.find(site.name);
        std::set<std::string>& macs = old.by_name[site.name];
        if (of_card == known.end() || of_card->second == site.mac) {
            if (!macs.empty() && !macs.contains(site.mac)) {
                old.warnings.push_back(fmt::format(
                    "{}:{}: says that {} is {}, and another file says {}; both become "
                    "{}",
                    found.path, site.line, site.name, site.mac, *macs.begin(), nic->mac));
            }
            macs.insert(site.mac);
        } else if (found.path.find("/rules.d/") == std::string::npos) {
            old.warnings.push_back(fmt::format(
                "{}:{}: says that {} is {}, but the server's {} was {}; left as it is", found.path,
                site.line, site.name, site.mac, site.name, of_card->second));
        }
    }
    return old;
}

MacMap mac_map(const FileTree& files, const OldMacs& old, std::span<const NicBinding> nics) {
    // New addresses that the files give to their names already. One that was another card's before
    // stands there because of that now.
    std::set<std::string> done;
    for (const FileSite& place : sites_in(files)) {
        const auto nic = std::ranges::find(nics, place.site.name, &NicBinding::name);
        if (nic != nics.end() && place.site.kind == SiteKind::names && place.site.mac == nic->mac) {
            done.insert(nic->mac);
        }
    }
    MacMap map;
    for (const NicBinding& nic : nics) {
        const auto found = old.by_name.find(nic.name);
        for (const std::string& mac :
             found == old.by_name.end() ? std::set<std::string>{} : found->second) {
            if (mac != nic.mac && !done.contains(mac)) {
                map.try_emplace(mac, nic.mac);
            }
        }
    }
    return map;
}

} // namespace coldspare::fixup
