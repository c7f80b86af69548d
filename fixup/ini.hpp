#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// One physical line `key=value` of a file with [sections].
struct IniEntry {
    std::size_t section = 0;       ///< how many headings stand before it
    std::string_view section_name; ///< "Match"
    std::string_view key;          ///< "MACAddress"
    std::string_view value;        ///< without blanks around it
    std::size_t begin = 0;         ///< of the value in the text
    std::size_t line = 0;          ///< from 1
};

/// How long lines go on.
enum class IniDialect {
    keyfile, ///< of GLib: never
    systemd, ///< a backslash at the end joins the next one (systemd.syntax(7)); the part on each
             ///< line is an entry of its own with the same key
};

/// Takes such a file apart; the views lead into `text`. Lines that begin with '#' or ';' are
/// comments. Never throws: what is no heading and no assignment is left out. Reads 20000 lines.
[[nodiscard]] std::vector<IniEntry> parse_ini(std::string_view text, IniDialect dialect);

} // namespace coldspare::fixup
