#include "fixup/text_diff.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

// The lines that differ lie between a common head and a common tail. Between them the longest
// common subsequence decides, by the textbook table; where that table would be too large (files of
// thousands of changed lines, which no fix makes) the whole middle counts as replaced.

namespace coldspare::fixup {

namespace {

constexpr std::size_t context = 3;
constexpr std::size_t largest_table = std::size_t{4} << 20;

struct DiffLine {
    char sign = ' ';
    std::string_view text;
};

std::vector<std::string_view> lines_with_ends(std::string_view text) {
    std::vector<std::string_view> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t newline = text.find('\n', at);
        const std::size_t next = newline == std::string_view::npos ? text.size() : newline + 1;
        lines.push_back(text.substr(at, next - at));
        at = next;
    }
    return lines;
}

using Lines = std::vector<std::string_view>;

/// The middle part: old lines [begin, old_end) against new lines [begin, new_end).
void add_middle(const Lines& before, const Lines& after, std::size_t begin, std::size_t old_end,
                std::size_t new_end, std::vector<DiffLine>& out) {
    const std::size_t rows = old_end - begin;
    const std::size_t columns = new_end - begin;
    std::size_t i = 0;
    std::size_t j = 0;
    if (rows > 0 && columns > 0 && rows < largest_table / columns) {
        const std::size_t width = columns + 1;
        std::vector<std::uint32_t> table((rows + 1) * width, 0);
        for (std::size_t r = rows; r-- > 0;) {
            for (std::size_t c = columns; c-- > 0;) {
                table[r * width + c] =
                    before[begin + r] == after[begin + c]
                        ? table[(r + 1) * width + c + 1] + 1
                        : std::max(table[(r + 1) * width + c], table[r * width + c + 1]);
            }
        }
        while (i < rows && j < columns) {
            if (before[begin + i] == after[begin + j]) {
                out.push_back({' ', before[begin + i]});
                ++i;
                ++j;
            } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) {
                out.push_back({'-', before[begin + i++]});
            } else {
                out.push_back({'+', after[begin + j++]});
            }
        }
    }
    for (; i < rows; ++i) {
        out.push_back({'-', before[begin + i]});
    }
    for (; j < columns; ++j) {
        out.push_back({'+', after[begin + j]});
    }
}

std::vector<DiffLine> compare(const Lines& before, const Lines& after) {
    const std::size_t shorter = std::min(before.size(), after.size());
    std::size_t head = 0;
    while (head < shorter && before[head] == after[head]) {
        ++head;
    }
    std::size_t tail = 0;
    while (tail < shorter - head &&
           before[before.size() - 1 - tail] == after[after.size() - 1 - tail]) {
        ++tail;
    }
    std::vector<DiffLine> script;
    for (std::size_t i = 0; i < head; ++i) {
        script.push_back({' ', before[i]});
    }
    add_middle(before, after, head, before.size() - tail, after.size() - tail, script);
    for (std::size_t i = before.size() - tail; i < before.size(); ++i) {
        script.push_back({' ', before[i]});
    }
    return script;
}

std::string shown(const DiffLine& line) {
    std::string_view text = line.text;
    const bool ended = text.ends_with('\n');
    text.remove_suffix(ended ? 1 : 0);
    const bool crlf = text.ends_with('\r');
    text.remove_suffix(crlf ? 1 : 0);
    std::string readable = printable(text);
    for (std::size_t i = 0; i < text.size(); ++i) {
        readable[i] = text[i] == '\t' ? '\t' : readable[i]; // harmless, and people expect it
    }
    return fmt::format("{}{}{}\n{}", line.sign, readable, crlf ? "^M" : "",
                       ended ? "" : "\\ No newline at end of file\n");
}

/// The ranges of the script that are shown: changes with their context, joined where they touch.
std::vector<std::pair<std::size_t, std::size_t>> hunks(const std::vector<DiffLine>& script) {
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    for (std::size_t i = 0; i < script.size(); ++i) {
        if (script[i].sign == ' ') {
            continue;
        }
        const std::size_t begin = i < context ? 0 : i - context;
        const std::size_t end = std::min(script.size(), i + context + 1);
        if (!ranges.empty() && begin <= ranges.back().second) {
            ranges.back().second = end;
        } else {
            ranges.emplace_back(begin, end);
        }
    }
    return ranges;
}

} // namespace

std::string unified_diff(std::string_view path, const std::optional<std::string>& before,
                         std::string_view after) {
    const std::string old_text = before.value_or(std::string());
    const Lines old_lines = lines_with_ends(old_text);
    const Lines new_lines = lines_with_ends(after);
    const std::vector<DiffLine> script = compare(old_lines, new_lines);
    std::string body;
    std::size_t old_line = 0;
    std::size_t new_line = 0;
    std::size_t at = 0;
    for (const auto& [begin, end] : hunks(script)) {
        for (; at < begin; ++at) { // everything between two hunks is common
            ++old_line;
            ++new_line;
        }
        std::size_t old_count = 0;
        std::size_t new_count = 0;
        std::string hunk;
        for (; at < end; ++at) {
            old_count += script[at].sign != '+' ? 1U : 0U;
            new_count += script[at].sign != '-' ? 1U : 0U;
            hunk += shown(script[at]);
        }
        body += fmt::format("@@ -{},{} +{},{} @@\n{}", old_line + (old_count > 0 ? 1 : 0),
                            old_count, new_line + (new_count > 0 ? 1 : 0), new_count, hunk);
        old_line += old_count;
        new_line += new_count;
    }
    if (body.empty()) {
        return {};
    }
    return fmt::format("--- {}\n+++ {}\n{}", before ? fmt::format("a{}", path) : "/dev/null",
                       fmt::format("b{}", path), body);
}

} // namespace coldspare::fixup
