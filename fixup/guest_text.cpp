#include "fixup/guest_text.hpp"

#include "base/text.hpp"

namespace coldspare::fixup {

std::string shell_quoted(std::string_view text) {
    std::string quoted = "'";
    for (const char c : text) {
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return quoted + "'";
}

std::string last_words(std::string_view text, std::size_t limit) {
    std::string joined;
    for (const std::string_view line : split_lines(trim(text))) {
        joined += (joined.empty() ? "" : "; ") + printable(trim(line));
    }
    if (joined.size() <= limit) {
        return joined;
    }
    // A character that the cut went through becomes '?'.
    return "... " + printable(std::string_view(joined).substr(joined.size() - limit));
}

} // namespace coldspare::fixup
