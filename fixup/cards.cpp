#include "fixup/cards.hpp"

#include "base/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

bool is_called(const NicFacts& nic, const std::string& name) {
    return nic.name == name || std::ranges::find(nic.altnames, name) != nic.altnames.end();
}

std::string kind_words(NicKind kind) {
    return kind == NicKind::other ? "no network card" : fmt::format("a {}", word(kind));
}

/// What carries it, for the hint.
std::vector<std::string> cards_below(const Inventory& inventory, const NicFacts& nic) {
    std::vector<std::string> names;
    for (const NicFacts& other : inventory.nics) {
        if (other.kind == NicKind::physical &&
            (other.master == nic.name || other.name == nic.lower)) {
            names.push_back(other.name);
        }
    }
    return names;
}

} // namespace

void check_cards(std::span<const NicBinding> nics, const std::optional<Inventory>& inventory) {
    if (!inventory) {
        return;
    }
    for (const NicBinding& nic : nics) {
        const auto found = std::ranges::find_if(
            inventory->nics, [&nic](const NicFacts& facts) { return is_called(facts, nic.name); });
        if (found == inventory->nics.end() || found->kind == NicKind::physical) {
            continue;
        }
        const std::vector<std::string> below = cards_below(*inventory, *found);
        throw usage_error(
            fmt::format("--nic names '{}', which was {} on the server", nic.name,
                        kind_words(found->kind)),
            below.empty()
                ? std::string("name the cards of the server: the system makes the rest from them")
                : fmt::format("name the cards below it: {}; the system makes '{}' from them",
                              fmt::join(below, ", "), nic.name));
    }
}

bool is_of_another_system(const Inventory& inventory, const GuestSystem& system) {
    return !inventory.root_uuid.empty() && !system.volumes.empty() &&
           std::ranges::find(system.volumes, inventory.root_uuid, &GuestVolume::uuid) ==
               system.volumes.end();
}

std::optional<Inventory> believed(const std::optional<Inventory>& inventory,
                                  const GuestSystem& system, std::span<const NicBinding> nics) {
    if (!inventory || !is_of_another_system(*inventory, system)) {
        return inventory;
    }
    const auto is_from_it = [&inventory](const NicBinding& nic) {
        return std::ranges::any_of(inventory->nics, [&nic](const NicFacts& facts) {
            return facts.name == nic.name && facts.permanent_mac == nic.mac;
        });
    };
    if (!nics.empty() && std::ranges::all_of(nics, is_from_it)) {
        throw usage_error(
            fmt::format("the inventory was made by another system (a live one?), which calls the "
                        "server's cards otherwise: its \"/\" has the UUID {}, and the copy has no "
                        "such volume",
                        inventory->root_uuid),
            "say --nic NAME=MAC with the names that the server's own configuration has");
    }
    return std::nullopt;
}

std::vector<std::string> card_warnings(std::span<const NicBinding> nics,
                                       const std::optional<Inventory>& inventory) {
    std::vector<std::string> warnings;
    if (!inventory || inventory->nics.empty()) {
        return warnings;
    }
    const auto wished = [&nics](const NicFacts& facts) {
        return std::ranges::any_of(
            nics, [&facts](const NicBinding& nic) { return is_called(facts, nic.name); });
    };
    std::vector<std::string> missing;
    for (const NicFacts& facts : inventory->nics) {
        if (facts.kind == NicKind::physical && !wished(facts)) {
            missing.push_back(facts.up ? facts.name + " (was up)" : facts.name);
        }
    }
    if (!missing.empty()) {
        warnings.push_back(fmt::format(
            "the server had cards that the VM has not: {}; what waits for them may delay the boot, "
            "so give the VM more with --nic or take them out of its configuration",
            fmt::join(missing, ", ")));
    }
    for (const NicBinding& nic : nics) {
        if (std::ranges::none_of(inventory->nics, [&nic](const NicFacts& facts) {
                return is_called(facts, nic.name);
            })) {
            warnings.push_back(
                fmt::format("the server had no interface '{}'; check --nic", nic.name));
        }
    }
    return warnings;
}

} // namespace coldspare::fixup
