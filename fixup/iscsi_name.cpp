#include "fixup/iscsi_name.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::size_t longest_name = 223;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_hex(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    });
}

/// "2026-11.", the month in which somebody owned the domain.
bool is_month(std::string_view text) {
    constexpr std::string_view shape = "dddd-dd.";
    if (text.size() < shape.size()) {
        return false;
    }
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] == 'd' ? !is_digit(text[i]) : text[i] != shape[i]) {
            return false;
        }
    }
    const std::string_view month = text.substr(5, 2);
    return month >= "01" && month <= "12";
}

std::string complaint_about_iqn(std::string_view rest) {
    if (!is_month(rest)) {
        return "has no year and month behind 'iqn.'";
    }
    const std::string_view owner = rest.substr(8, rest.find(':') - 8);
    if (owner.empty()) {
        return "has no domain behind the month";
    }
    const bool plain = std::ranges::all_of(rest, [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == ':';
    });
    return plain ? "" : "has other characters than a-z, 0-9, '-', '.' and ':'";
}

} // namespace

std::string complaint_about_iscsi_name(std::string_view name) {
    if (name.size() > longest_name) {
        return fmt::format("has {} bytes, and at most {} are allowed", name.size(), longest_name);
    }
    const std::string_view rest = name.substr(std::min<std::size_t>(4, name.size()));
    if (name.starts_with("iqn.")) {
        return complaint_about_iqn(rest);
    }
    if (name.starts_with("eui.")) {
        return rest.size() == 16 && is_hex(rest) ? "" : "has not 16 hexadecimal digits";
    }
    if (name.starts_with("naa.")) {
        return (rest.size() == 16 || rest.size() == 32) && is_hex(rest)
                   ? ""
                   : "has neither 16 nor 32 hexadecimal digits";
    }
    return "begins with neither 'iqn.' nor 'eui.' nor 'naa.'";
}

} // namespace coldspare::fixup
