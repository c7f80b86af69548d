// Configuration that finds a card by its address gets the address of the VM's card. What the files
// of each family look like: fixup/mac_sites.hpp.
#include "fixup/fixes.hpp"

#include "base/text.hpp"
#include "fixup/cards.hpp"
#include "fixup/ini.hpp"
#include "fixup/old_macs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::string_view why = "it finds a network card by its address";
constexpr std::size_t mac_length = 17;

/// "/etc/sysconfig/network/ifcfg-eth-id-00:0c:29:8d:71:3f" for the new address, or nothing.
std::optional<std::string> new_path(const std::string& path, const MacMap& map) {
    for (std::size_t at = path.rfind('/'); at + mac_length <= path.size(); ++at) {
        const std::string written = path.substr(at, mac_length);
        const std::optional<std::string> mac = read_mac(written);
        if (const auto found = mac ? map.find(*mac) : map.end(); found != map.end()) {
            return path.substr(0, at) + mac_like(found->second, written) +
                   path.substr(at + mac_length);
        }
    }
    return std::nullopt;
}

/// Files of SUSE whose name holds the address: ifcfg-eth-id-MAC, hwcfg-id-MAC. The new name, or
/// the old one.
std::string path_for_card(const std::string& path, const MacMap& map) {
    const bool of_suse = path.starts_with("/etc/sysconfig/network/ifcfg-") ||
                         path.starts_with("/etc/sysconfig/network/hwcfg-");
    return of_suse ? new_path(path, map).value_or(path) : path;
}

/// How one file becomes another, of the same or of another name.
struct Change {
    std::string path;
    std::string before;
    std::string new_path;
    std::string after;
};

/// First all new files with what they will hold, then the removals of those whose name nobody took
/// over: two files can swap their names.
void add_edits(const FileTree& files, const std::vector<Change>& changes, FixPlan& plan) {
    const auto taken = [&changes](const std::string& path) {
        return std::ranges::find(changes, path, &Change::new_path) != changes.end();
    };
    const auto leaves = [&changes](const std::string& path) {
        return std::ranges::any_of(changes, [&path](const Change& change) {
            return change.path == path && change.new_path != path;
        });
    };
    std::vector<std::string> gone;
    for (const Change& change : changes) {
        const std::string* there = files.text(change.new_path);
        if (change.path != change.new_path && files.exists(change.new_path) &&
            !leaves(change.new_path)) {
            plan.warnings.push_back(
                fmt::format("{} is for the old card, and {} is there already; left as it is",
                            change.path, change.new_path));
            continue;
        }
        const mode_t mode = files.find(change.path)->status.mode;
        plan.edits.push_back(
            {.path = change.new_path,
             .before = there == nullptr ? std::nullopt : std::optional<std::string>(*there),
             .after = change.after,
             .why = std::string(why),
             .mode = mode == 0 ? mode_t{0644} : mode,
             .reach = change.path.ends_with(".link") ? Reach::initramfs : Reach::system});
        if (!taken(change.path)) {
            gone.push_back(change.path);
        }
        if (change.path.find("/hwcfg-") != std::string::npos &&
            change.after.find("MODULE") != std::string::npos) {
            plan.warnings.push_back(fmt::format(
                "{}: names the driver of the old card, which does no harm and no good in the VM",
                change.new_path));
        }
    }
    for (const std::string& path : gone) {
        plan.edits.push_back({.path = path,
                              .before = *files.text(path),
                              .why = "its name holds the address of the old card",
                              .kind = EditKind::remove});
    }
}

std::vector<Change> changes_in(const FileTree& files, const MacMap& map,
                               std::span<const NicBinding> nics) {
    std::map<std::string, std::string> names;
    for (const NicBinding& nic : nics) {
        names[nic.name] = nic.mac;
    }
    std::set<std::string> paths; // two families can share a directory
    for (const std::string_view pattern : site_patterns()) {
        for (const std::string& path : files.in(pattern.substr(0, pattern.rfind('/')))) {
            paths.insert(path);
        }
    }
    std::vector<Change> changes;
    for (const std::string& path : paths) {
        const std::string* text = files.text(path);
        if (text == nullptr) {
            continue;
        }
        const SiteFinder find = finder_for(path);
        Change change{.path = path,
                      .before = *text,
                      .new_path = path_for_card(path, map),
                      .after = find == nullptr ? *text : with_macs(*text, find(*text), map, names)};
        if (change.new_path != change.path || change.after != change.before) {
            changes.push_back(std::move(change));
        }
    }
    return changes;
}

/// cloud-init writes its files anew when it takes the copy for another machine.
void warn_of_cloud_init(const FileTree& files, FixPlan& plan) {
    if (!files.exists("/etc/cloud/cloud.cfg") || files.exists("/etc/cloud/cloud-init.disabled")) {
        return;
    }
    for (const std::string& path : files.in("/etc/cloud/cloud.cfg.d", ".cfg")) {
        const std::string* text = files.text(path);
        const std::size_t at = text == nullptr ? std::string::npos : text->find("network:");
        if (at != std::string::npos && text->find("disabled", at) != std::string::npos) {
            return;
        }
    }
    for (const FileEdit& edit : plan.edits) {
        if (edit.path.find("cloud") != std::string::npos ||
            edit.after.find("cloud-init") != std::string::npos) {
            plan.warnings.push_back(fmt::format(
                "{}: cloud-init may write it anew at the first boot; to keep it, put 'network: "
                "{{config: disabled}}' into /etc/cloud/cloud.cfg.d/99-network.cfg of the server",
                edit.path));
        }
    }
}

/// What only the old server's slots and drivers match.
void warn_of_slots(const FileTree& files, FixPlan& plan) {
    for (const char* suffix : {".network", ".link"}) {
        for (const std::string& path : files.in("/etc/systemd/network", suffix)) {
            const std::string* text = files.text(path);
            if (text == nullptr) {
                continue;
            }
            for (const IniEntry& entry : parse_ini(*text, IniDialect::systemd)) {
                if (entry.section_name == "Match" &&
                    (entry.key == "Path" || entry.key == "Driver") && !entry.value.empty()) {
                    plan.warnings.push_back(
                        fmt::format("{}:{}: matches '{}={}', which the card of the VM may not have",
                                    path, entry.line, entry.key, printable(entry.value)));
                }
            }
        }
    }
}

/// Addresses of which nobody says whose they were: what they stand for would be lost unseen.
void warn_of_strangers(const FileTree& files, const MacMap& map, std::span<const NicBinding> nics,
                       FixPlan& plan) {
    for (const FileSite& place : sites_in(files)) {
        // netplan's ids need not be names of cards.
        const bool by_id =
            place.path.starts_with("/etc/netplan/") && place.site.kind == SiteKind::finds &&
            std::ranges::find(nics, place.site.name, &NicBinding::name) == nics.end();
        if ((place.site.name.empty() || by_id) && !map.contains(place.site.mac) &&
            std::ranges::find(nics, place.site.mac, &NicBinding::mac) == nics.end()) {
            plan.warnings.push_back(fmt::format(
                "{}:{}: finds a card by {}, and nothing says which of the VM's that is; left as it "
                "is: an inventory of the server (coldspare inventory) would say it",
                place.path, place.site.line, place.site.mac));
        }
    }
}

} // namespace

FixPlan plan_network_config(const PlanInput& input) {
    const std::span<const NicBinding> nics = input.wishes.nics;
    OldMacs old = old_macs(input.facts.files, input.facts.inventory, nics);
    const MacMap map = mac_map(input.facts.files, old, nics);
    FixPlan plan{.warnings = std::move(old.warnings)};
    add_edits(input.files, changes_in(input.files, map, nics), plan);
    std::vector<std::string> paths;
    for (const FileEdit& edit : plan.edits) {
        if (edit.kind == EditKind::write) {
            paths.push_back(edit.path);
        }
    }
    plan.outcome = paths.empty() ? Outcome::not_needed : Outcome::planned;
    plan.detail = paths.empty()
                      ? "no configuration finds a network card of the VM by an old address"
                      : fmt::format("new addresses in {}", fmt::join(paths, ", "));
    warn_of_cloud_init(input.files, plan);
    warn_of_slots(input.files, plan);
    if (!input.facts.inventory) {
        warn_of_strangers(input.facts.files, map, nics, plan);
    }
    if (input.files.exists("/etc/sysconfig/hwconf")) {
        plan.warnings.emplace_back(
            "/etc/sysconfig/hwconf: kudzu would take the cards of the VM for new ones at the first "
            "boot and ask at the console; switch it off on the server: chkconfig kudzu off");
    }
    std::ranges::move(card_warnings(nics, input.facts.inventory),
                      std::back_inserter(plan.warnings));
    return plan;
}

} // namespace coldspare::fixup
