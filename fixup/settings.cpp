#include "fixup/settings.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace coldspare::fixup {

namespace {

/// Where the line ends, without its carriage return.
std::size_t trim_end(std::string_view line) {
    return line.ends_with('\r') ? line.size() - 1 : line.size();
}

} // namespace

std::optional<Setting> SettingReader::next() {
    while (at_ < text_.size()) {
        const std::size_t end = std::min(text_.find('\n', at_), text_.size());
        const std::string_view line = text_.substr(at_, end - at_);
        at_ = end + 1;
        ++line_;
        const std::size_t separator = line.find(separator_);
        const std::string_view bare = trim(line);
        if (bare.starts_with('#') || bare.starts_with(';') || separator == std::string_view::npos) {
            continue;
        }
        std::string_view value = trim(line.substr(separator + 1));
        if (value.empty()) { // a place in the text, where one can be put
            value = line.substr(std::min(separator + 2, trim_end(line)), 0);
        }
        return Setting{.key = trim(line.substr(0, separator)), .value = value, .line = line_};
    }
    return std::nullopt;
}

std::string with_line(std::string_view text, std::string_view line) {
    const std::size_t last = text.rfind('\n');
    const std::string_view end =
        last != std::string_view::npos && last > 0 && text[last - 1] == '\r' ? "\r\n" : "\n";
    std::string result(text);
    if (!result.empty() && !result.ends_with('\n')) {
        result += end;
    }
    return result.append(line).append(end);
}

} // namespace coldspare::fixup
