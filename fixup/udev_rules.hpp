#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// One `KEY{attribute} op "value"` of a udev rule.
struct RuleToken {
    std::string key;       ///< "ATTR"
    std::string attribute; ///< "address", or empty
    std::string op;        ///< "==", "!=", "=", "+=", "-=", ":="
    std::string value;     ///< between the quotes, as written
    std::size_t begin = 0; ///< of the whole token in RuleLine::text
    std::size_t end = 0;
    std::size_t value_begin = 0; ///< of the value in RuleLine::text
    /// Written as ATTRS(address), as in the how-to of 2009; udev itself reads only braces.
    bool parentheses = false;
    /// 'i' of i"...", which matches in any case, 'e' of e"..." with escapes (udev 247 and later),
    /// or zero. Escapes are not read: a value that has some makes the line unreadable.
    char prefix = 0;

    /// Whether it asks for something of the device instead of setting something.
    [[nodiscard]] bool is_match() const { return op == "==" || op == "!="; }
};

enum class RuleLineKind {
    nothing,    ///< blank
    comment,    ///< the first thing on it is '#'
    rule,       ///< a rule that was understood
    unreadable, ///< anything else: udev ignores such a line, and so do we
};

/// One line, or several that end in a backslash and are one to udev (udev(7): "Lines ending with a
/// backslash"; comment lines in between do not interrupt it).
struct RuleLine {
    RuleLineKind kind = RuleLineKind::nothing;
    std::size_t begin = 0;  ///< in the content
    std::size_t end = 0;    ///< past its last newline
    std::size_t number = 0; ///< of its first physical line, from 1
    std::string text;       ///< joined, without backslashes, newlines and comments in between
    std::vector<RuleToken> tokens; ///< of a rule
};

/// Takes a rules file apart. Never throws; every byte of `content` belongs to exactly one line.
[[nodiscard]] std::vector<RuleLine> parse_rules(std::string_view content);

} // namespace coldspare::fixup
