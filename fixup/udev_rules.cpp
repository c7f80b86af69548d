#include "fixup/udev_rules.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace coldspare::fixup {

namespace {

constexpr std::string_view blanks = " \t\r\v\f";

bool is_blank(char c) {
    return blanks.find(c) != std::string_view::npos;
}

bool is_key_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/// Reads tokens from left to right.
class TokenReader {
public:
    explicit TokenReader(std::string_view text) : text_(text) {}

    /// All tokens; nothing if the text is not a rule.
    std::optional<std::vector<RuleToken>> read_all() {
        std::vector<RuleToken> tokens;
        for (skip_separators(); at_ < text_.size(); skip_separators()) {
            RuleToken token;
            if (!read_key(token) || !read_op(token) || !read_value(token)) {
                return std::nullopt;
            }
            tokens.push_back(std::move(token));
        }
        if (tokens.empty()) {
            return std::nullopt;
        }
        return tokens;
    }

private:
    void skip_blanks() {
        while (at_ < text_.size() && is_blank(text_[at_])) {
            ++at_;
        }
    }
    void skip_separators() {
        while (at_ < text_.size() && (is_blank(text_[at_]) || text_[at_] == ',')) {
            ++at_;
        }
    }

    bool read_key(RuleToken& token) {
        token.begin = at_;
        while (at_ < text_.size() && is_key_character(text_[at_])) {
            token.key += text_[at_++];
        }
        if (token.key.empty()) {
            return false;
        }
        if (at_ < text_.size() && (text_[at_] == '{' || text_[at_] == '(')) {
            token.parentheses = text_[at_] == '(';
            const std::size_t close = text_.find(token.parentheses ? ')' : '}', at_);
            if (close == std::string_view::npos) {
                return false;
            }
            token.attribute = text_.substr(at_ + 1, close - at_ - 1);
            at_ = close + 1;
        }
        return true;
    }

    bool read_op(RuleToken& token) {
        constexpr std::array<std::string_view, 6> operators{"==", "!=", "+=", "-=", ":=", "="};
        skip_blanks();
        for (const std::string_view op : operators) {
            if (text_.substr(at_).starts_with(op)) {
                token.op = op;
                at_ += op.size();
                skip_blanks();
                return true;
            }
        }
        return false;
    }

    /// A prefix of recent udev (e"...", i"...") changes what the value means.
    bool read_value(RuleToken& token) {
        const std::string_view rest = text_.substr(at_);
        if (rest.starts_with("e\"") || (rest.starts_with("i\"") && token.is_match())) {
            token.prefix = text_[at_++];
        }
        if (at_ >= text_.size() || text_[at_] != '"') {
            return false;
        }
        token.value_begin = ++at_;
        while (at_ < text_.size() && text_[at_] != '"') {
            at_ += text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == '"' ? 2U : 1U;
        }
        if (at_ >= text_.size()) {
            return false;
        }
        token.value = text_.substr(token.value_begin, at_ - token.value_begin);
        token.end = ++at_;
        return token.prefix != 'e' || token.value.find('\\') == std::string::npos;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

/// What stands on one physical line, without its newline.
std::string_view line_at(std::string_view content, std::size_t begin, std::size_t& next) {
    const std::size_t newline = content.find('\n', begin);
    next = newline == std::string_view::npos ? content.size() : newline + 1;
    std::string_view line = content.substr(begin, next - begin);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) {
        line.remove_suffix(1);
    }
    return line;
}

RuleLineKind kind_of(std::string_view line) {
    const std::size_t first = line.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return RuleLineKind::nothing;
    }
    return line[first] == '#' ? RuleLineKind::comment : RuleLineKind::unreadable;
}

} // namespace

std::vector<RuleLine> parse_rules(std::string_view content) {
    std::vector<RuleLine> lines;
    std::size_t number = 1;
    std::size_t next = 0;
    for (std::size_t at = 0; at < content.size(); at = next) {
        std::string_view physical = line_at(content, at, next);
        RuleLine line{.kind = kind_of(physical), .begin = at, .number = number++};
        bool joined = line.kind == RuleLineKind::unreadable && physical.ends_with('\\');
        line.text = physical.substr(0, physical.size() - (joined ? 1 : 0));
        while (joined && next < content.size()) {
            physical = line_at(content, next, next);
            ++number;
            if (kind_of(physical) == RuleLineKind::comment) {
                continue;
            }
            joined = physical.ends_with('\\');
            line.text += physical.substr(0, physical.size() - (joined ? 1 : 0));
        }
        line.end = next;
        if (line.kind == RuleLineKind::unreadable) {
            if (std::optional<std::vector<RuleToken>> tokens = TokenReader(line.text).read_all()) {
                line.kind = RuleLineKind::rule;
                line.tokens = *std::move(tokens);
            }
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

} // namespace coldspare::fixup
