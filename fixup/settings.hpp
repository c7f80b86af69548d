#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coldspare::fixup {

/// A line of a settings file taken apart: "node.startup = automatic", "InitiatorName=iqn...",
/// "mail/cyrus/autostart: yes". Views into the text; nothing is copied.
struct Setting {
    std::string_view key;
    std::string_view value; ///< without the blanks around it
    std::size_t line = 0;   ///< from 1
};

/// Reads the settings of a text one by one: lines "KEY SEPARATOR VALUE"; empty lines, comments
/// ('#' or ';' first) and lines without the separator are passed over. Any bytes will do.
class SettingReader {
public:
    SettingReader(std::string_view text, char separator) : text_(text), separator_(separator) {}
    /// The next one, or nothing at the end.
    [[nodiscard]] std::optional<Setting> next();

private:
    std::string_view text_;
    char separator_;
    std::size_t at_ = 0;
    std::size_t line_ = 0;
};

/// `text` with every `value` that `change` gives another for. All other bytes stay: blanks, line
/// ends, comments, a missing last newline. `change` takes a Setting and gives an
/// optional<string>.
template <typename Change>
[[nodiscard]] std::string with_settings(std::string_view text, char separator, Change change) {
    std::string result;
    std::size_t done = 0;
    SettingReader reader(text, separator);
    while (const std::optional<Setting> setting = reader.next()) {
        if (const std::optional<std::string> value = change(*setting)) {
            const auto begin = static_cast<std::size_t>(setting->value.data() - text.data());
            result.append(text.substr(done, begin - done)).append(*value);
            done = begin + setting->value.size();
        }
    }
    return result.append(text.substr(done));
}

/// `text` with one more line; a last line without a newline gets one first, and the line ends as
/// the last one of `text` does.
[[nodiscard]] std::string with_line(std::string_view text, std::string_view line);

} // namespace coldspare::fixup
