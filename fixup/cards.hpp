#pragma once

#include "base/inventory.hpp"
#include "fixup/guest.hpp"
#include "fixup/nic.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// Throws Error (usage) if a name that the VM's cards shall have was no card on the server, but
/// something that the system makes itself from cards: a bond, a bridge, a VLAN.
void check_cards(std::span<const NicBinding> nics, const std::optional<Inventory>& inventory);

/// Whether the inventory was made by another system than this one, a live system say: its "/" is no
/// volume of the copy. Then its names are not the server's.
[[nodiscard]] bool is_of_another_system(const Inventory& inventory, const GuestSystem& system);

/// The inventory, or nothing if it is of another system. Throws Error (usage) if the VM's cards
/// were taken from such a one.
[[nodiscard]] std::optional<Inventory> believed(const std::optional<Inventory>& inventory,
                                                const GuestSystem& system,
                                                std::span<const NicBinding> nics);

/// What a person should know: cards of the server that the VM has not, and names that the server
/// had no card for. Empty without an inventory.
[[nodiscard]] std::vector<std::string> card_warnings(std::span<const NicBinding> nics,
                                                     const std::optional<Inventory>& inventory);

} // namespace coldspare::fixup
