#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace coldspare::clone {

/// What only a question to the kernel tells of a network interface; the rest stands in /sys.
struct LinkFacts {
    std::string name;
    std::string permanent_mac; ///< as normal_mac() has it; empty where the kernel tells none
    std::string kind;          ///< of one that is made by software: "bond", "vlan", "veth", ...
    unsigned vlan_id = 0;
    std::vector<std::string> altnames;
    std::vector<std::string> addresses; ///< "192.0.2.10/24"

    bool operator==(const LinkFacts&) const = default;
};

/// The interfaces of this network namespace. Empty if the kernel does not answer.
[[nodiscard]] std::vector<LinkFacts> read_links();

/// The RTM_NEWLINK messages among these (rtnetlink(7)); addresses are no part of them. A pure
/// function.
[[nodiscard]] std::vector<LinkFacts> parse_links(std::span<const std::byte> messages);

} // namespace coldspare::clone
