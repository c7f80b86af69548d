#include "fixup/mac.hpp"

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::size_t digits_of_mac = 12;

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

char lower(char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
}

char upper(char c) {
    return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
}

/// Whether the separators stand as they should: `every` so many digits.
bool has_shape(std::string_view text, char separator, std::size_t every) {
    const std::size_t separators = digits_of_mac / every - 1;
    if (text.size() != digits_of_mac + separators) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool between = i % (every + 1) == every;
        if (between ? text[i] != separator : !is_hex(text[i])) {
            return false;
        }
    }
    return true;
}

} // namespace

std::optional<std::string> read_mac(std::string_view text) {
    if (!has_shape(text, ':', 2) && !has_shape(text, '-', 2) && !has_shape(text, '.', 4) &&
        !has_shape(text, '\0', digits_of_mac)) {
        return std::nullopt;
    }
    std::string mac;
    for (const char c : text) {
        if (is_hex(c)) {
            mac += mac.size() % 3 == 2 ? ":" : "";
            mac += lower(c);
        }
    }
    return mac;
}

std::string mac_like(std::string_view mac, std::string_view model) {
    const bool in_upper = std::ranges::any_of(model, [](char c) { return c >= 'A' && c <= 'F'; });
    std::string digits;
    for (const char c : mac) {
        if (is_hex(c)) {
            digits += in_upper ? upper(c) : lower(c);
        }
    }
    std::string written;
    std::size_t at = 0;
    for (const char c : model) {
        written += is_hex(c) && at < digits.size() ? digits[at++] : c;
    }
    return written;
}

void add_sites(std::string_view text, std::size_t begin, std::size_t end, std::size_t line,
               std::vector<MacSite>& sites) {
    constexpr std::string_view separators = " \t\r\n\v\f,;";
    for (std::size_t at = text.find_first_not_of(separators, begin); at < end;) {
        const std::size_t stop = std::min(text.find_first_of(separators, at), end);
        if (std::optional<std::string> mac = read_mac(text.substr(at, stop - at))) {
            sites.push_back({.begin = at, .end = stop, .line = line, .mac = *std::move(mac)});
        }
        at = text.find_first_not_of(separators, stop);
    }
}

std::string with_macs(std::string_view text, const std::vector<MacSite>& sites, const MacMap& map,
                      const std::map<std::string, std::string>& names) {
    std::string result;
    std::size_t copied = 0;
    for (const MacSite& site : sites) {
        const auto own = names.find(site.name);
        const auto found = map.find(site.mac);
        if (found == map.end() || (own != names.end() && own->second == site.mac) ||
            site.begin < copied) {
            continue;
        }
        result += text.substr(copied, site.begin - copied);
        result += mac_like(found->second, text.substr(site.begin, site.end - site.begin));
        copied = site.end;
    }
    result += text.substr(copied);
    return result;
}

} // namespace coldspare::fixup
