#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// Old hardware address to new one; both in lower case with colons.
using MacMap = std::map<std::string, std::string, std::less<>>;

/// The address in lower case with colons, if `text` is exactly one of six bytes: with colons or
/// hyphens between the bytes, with two dots (systemd.link(5)), or bare.
[[nodiscard]] std::optional<std::string> read_mac(std::string_view text);

/// `mac` as `model` is written: its separators, and its case.
[[nodiscard]] std::string mac_like(std::string_view mac, std::string_view model);

/// What a text says of a network card that it finds by its address.
enum class SiteKind {
    finds, ///< a setting for the card with this address, whatever it is called
    names, ///< the card with this address gets a name because of it
};

/// An address in a text, where it stands for a card. An address that a card is told to take
/// (MACADDR=, cloned-mac-address=, hwaddress) is none: it stays as it is on the standby.
struct MacSite {
    std::size_t begin = 0; ///< of the address as it is written
    std::size_t end = 0;
    std::size_t line = 0; ///< from 1
    std::string mac;      ///< in lower case with colons
    std::string name;     ///< the interface, where the same text says it; else empty
    SiteKind kind = SiteKind::finds;
    friend bool operator==(const MacSite&, const MacSite&) = default;
};

/// Adds a site for each address in text[begin, end), words between blanks, commas or semicolons.
void add_sites(std::string_view text, std::size_t begin, std::size_t end, std::size_t line,
               std::vector<MacSite>& sites);

/// `text` with the addresses at `sites` looked up in `map`, all at once: two cards can swap theirs.
/// One that is what its own name is to have (`names`: name to new address) stays. So does every
/// other byte.
[[nodiscard]] std::string with_macs(std::string_view text, const std::vector<MacSite>& sites,
                                    const MacMap& map,
                                    const std::map<std::string, std::string>& names);

} // namespace coldspare::fixup
