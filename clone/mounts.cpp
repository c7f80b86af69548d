#include "clone/mounts.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cstddef>

namespace coldspare::clone {

namespace {

/// The kernel writes blanks, newlines and backslashes in these tables as "\040".
std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::string_view digits = text.substr(i).substr(0, 4);
        const bool octal = digits.size() == 4 && digits[0] == '\\' &&
                           digits.find_first_not_of("01234567", 1) == std::string_view::npos;
        if (octal) {
            const int code = (digits[1] - '0') * 64 + (digits[2] - '0') * 8 + (digits[3] - '0');
            plain += static_cast<char>(static_cast<unsigned char>(code & 0xff));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return printable(plain);
}

} // namespace

std::vector<Mount> parse_mounts(std::string_view table) {
    constexpr std::size_t fixed = 6; // then optional fields up to "-", type, source
    std::vector<Mount> mounts;
    for (const std::string_view line : split_lines(table)) {
        const std::vector<std::string_view> words = words_of(line);
        const auto dash =
            std::find(words.begin() + static_cast<std::ptrdiff_t>(std::min(words.size(), fixed)),
                      words.end(), "-");
        if (std::distance(dash, words.end()) >= 3) {
            mounts.push_back({std::string(words[2]), unescaped(dash[2]), std::string(dash[1]),
                              unescaped(words[4]),
                              words[5] == "ro" || words[5].starts_with("ro,")});
        }
    }
    return mounts;
}

std::vector<std::string> parse_swaps(std::string_view table) {
    std::vector<std::string> paths;
    for (const std::string_view line : split_lines(table)) {
        const std::vector<std::string_view> words = words_of(line);
        if (!words.empty() && words.front().starts_with('/')) {
            paths.push_back(unescaped(words.front()));
        }
    }
    return paths;
}

} // namespace coldspare::clone
