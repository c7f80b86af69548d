#include "fixup/ini.hpp"

#include "base/text.hpp"

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_lines = 20000;

IniEntry entry_of(std::string_view text, std::string_view value, std::size_t line) {
    const std::string_view bare = trim(value);
    return {
        .value = bare, .begin = static_cast<std::size_t>(bare.data() - text.data()), .line = line};
}

} // namespace

std::vector<IniEntry> parse_ini(std::string_view text, IniDialect dialect) {
    std::vector<IniEntry> entries;
    std::string_view section_name;
    std::string_view joined_key; // of the line before, if that ended in a backslash
    std::size_t section = 0;
    std::size_t number = 0;
    bool joined = false;
    for (const std::string_view raw : split_lines(text)) {
        if (++number > most_lines) {
            break;
        }
        std::string_view line = trim(raw);
        if (line.empty() || line.front() == '#' || line.front() == ';') {
            joined = joined && !line.empty();
            continue;
        }
        const bool goes_on = dialect == IniDialect::systemd && line.ends_with('\\');
        line.remove_suffix(goes_on ? 1 : 0);
        const std::size_t equals = line.find('=');
        if (!joined && line.starts_with('[') && line.ends_with(']')) {
            section_name = line.substr(1, line.size() - 2);
            ++section;
        } else if (joined || equals != std::string_view::npos) {
            IniEntry entry = entry_of(text, joined ? line : line.substr(equals + 1), number);
            entry.section = section;
            entry.section_name = section_name;
            joined_key = joined ? joined_key : trim(line.substr(0, equals));
            entry.key = joined_key;
            entries.push_back(entry);
        }
        joined = goes_on && !entries.empty();
    }
    return entries;
}

} // namespace coldspare::fixup
