#pragma once

#include "base/inventory.hpp"
#include "fixup/nic.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// Throws Error (usage) if a name that the VM's cards shall have was no card on the server, but
/// something that the system makes itself from cards: a bond, a bridge, a VLAN.
void check_cards(std::span<const NicBinding> nics, const std::optional<Inventory>& inventory);

/// What a person should know: cards of the server that the VM has not, and names that the server
/// had no card for. Empty without an inventory.
[[nodiscard]] std::vector<std::string> card_warnings(std::span<const NicBinding> nics,
                                                     const std::optional<Inventory>& inventory);

} // namespace coldspare::fixup
