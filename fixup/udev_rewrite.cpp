#include "fixup/udev_rewrite.hpp"

#include "base/text.hpp"
#include "fixup/mac.hpp"
#include "fixup/udev_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace coldspare::fixup {

namespace {

constexpr std::string_view title = "# network card of the virtual machine (coldspare fixup)";

bool asks_for_address(const RuleToken& token) {
    return token.op == "==" && token.attribute == "address" &&
           (token.key == "ATTR" || token.key == "ATTRS" || token.key == "SYSFS");
}

bool sets_name(const RuleToken& token) {
    return token.key == "NAME" && token.attribute.empty() && (token.op == "=" || token.op == ":=");
}

/// The name in IMPORT="/lib/udev/rename_netiface %k eth0", as SLES 9 and 10 give it; else empty.
std::string imported_name(const RuleToken& token) {
    constexpr std::string_view program = "rename_netiface %k ";
    const std::size_t at = token.value.find(program);
    if (token.key != "IMPORT" || at == std::string::npos || token.op == "!=") {
        return {};
    }
    return std::string(trim(std::string_view(token.value).substr(at + program.size())));
}

/// What a rule says about the name of a network card.
struct Naming {
    const RuleToken* name = nullptr;
    std::string given; ///< by the token above
    const RuleToken* address = nullptr;
    bool plain = true; ///< one name, one address at most: a copy of it means what it meant
};

/// Nothing in `name` if the rule names no network card.
Naming naming_of(const RuleLine& line) {
    Naming naming;
    bool of_net = false;
    for (const RuleToken& token : line.tokens) {
        if (const std::string imported = imported_name(token);
            sets_name(token) || !imported.empty()) {
            naming.plain = naming.plain && naming.name == nullptr;
            naming.name = &token;
            naming.given = imported.empty() ? token.value : imported;
        } else if (asks_for_address(token)) {
            naming.plain = naming.plain && naming.address == nullptr;
            naming.address = &token;
        }
        of_net = of_net || (token.key == "SUBSYSTEM" && token.op == "==" && token.value == "net");
    }
    if (!of_net && naming.address == nullptr) {
        naming.name = nullptr;
    }
    return naming;
}

const NicBinding* find_name(std::span<const NicBinding> nics, std::string_view name) {
    const auto found = std::ranges::find(nics, name, &NicBinding::name);
    return found == nics.end() ? nullptr : &*found;
}

const NicBinding* find_mac(std::span<const NicBinding> nics, std::string_view mac) {
    const auto found = std::ranges::find(nics, mac, &NicBinding::mac);
    return found == nics.end() ? nullptr : &*found;
}

std::string generated_rule(const NicBinding& nic, RuleDialect dialect) {
    if (dialect == RuleDialect::import) {
        return fmt::format(R"(SUBSYSTEM=="net", ACTION=="add", SYSFS{{address}}=="{}", )"
                           R"(IMPORT="/lib/udev/rename_netiface %k {}")",
                           nic.mac, nic.name);
    }
    if (dialect == RuleDialect::sysfs) {
        return fmt::format(R"(SUBSYSTEM=="net", SYSFS{{address}}=="{}", NAME="{}")", nic.mac,
                           nic.name);
    }
    if (dialect == RuleDialect::attrs) {
        return fmt::format(R"(SUBSYSTEM=="net", DRIVERS=="?*", ATTRS{{address}}=="{}", NAME="{}")",
                           nic.mac, nic.name);
    }
    return fmt::format(R"(SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{}", )"
                       R"(ATTR{{dev_id}}=="0x0", ATTR{{type}}=="1", NAME="{}")",
                       nic.mac, nic.name);
}

/// Whether the token means the same for the new card.
bool fits_any_card(const RuleToken& token) {
    if (token.key == "LABEL" || token.key == "GOTO") {
        return false; // a label may stand only once
    }
    if (!token.is_match() || !imported_name(token).empty()) {
        return true;
    }
    if (asks_for_address(token)) {
        return true;
    }
    if (token.parentheses || (token.op != "==" && token.key != "ACTION")) {
        return false;
    }
    constexpr std::array<std::string_view, 3> common{"SUBSYSTEM", "ACTION", "SUBSYSTEMS"};
    if (std::ranges::find(common, token.key) != common.end()) {
        return token.value == "net" || token.key == "ACTION";
    }
    return (token.key == "DRIVERS" && token.value == "?*") ||
           (token.key == "ATTR" && ((token.attribute == "dev_id" && token.value == "0x0") ||
                                    (token.attribute == "type" && token.value == "1")));
}

/// `line` for `nic`: its own words and separators, with the address replaced.
std::string copied_rule(const RuleLine& line, const Naming& naming, const NicBinding& nic,
                        RuleDialect dialect) {
    if (!naming.plain || naming.address == nullptr) {
        return generated_rule(nic, dialect);
    }
    std::string rule;
    std::size_t separator_begin = 0;
    for (const RuleToken& token : line.tokens) {
        if (fits_any_card(token)) {
            if (!rule.empty()) {
                rule += line.text.substr(separator_begin, token.begin - separator_begin);
            }
            const std::size_t value_end = token.end - 1;
            if (&token == naming.address) {
                std::string head = line.text.substr(token.begin, token.value_begin - token.begin);
                std::ranges::replace(head, '(', '{'); // udev reads braces only
                std::ranges::replace(head, ')', '}');
                rule += head + nic.mac + line.text.substr(value_end, token.end - value_end);
            } else {
                rule += line.text.substr(token.begin, token.end - token.begin);
            }
        }
        separator_begin = token.end;
    }
    return rule;
}

/// The physical lines of `lines` with '#' in column 0 where something is alive.
std::string commented_out(std::string_view lines) {
    std::string result;
    for (std::size_t at = 0; at < lines.size();) {
        const std::size_t newline = lines.find('\n', at);
        const std::size_t next = newline == std::string_view::npos ? lines.size() : newline + 1;
        const std::string_view line = lines.substr(at, next - at);
        const std::size_t first = line.find_first_not_of(" \t\r\v\f\n");
        if (first != std::string_view::npos && line[first] != '#') {
            result += '#';
        }
        result += line;
        at = next;
    }
    return result;
}

/// What sysfs has to say for the match to hold.
std::string address_of(const RuleToken& token) {
    const std::optional<std::string> mac = read_mac(token.value);
    return token.prefix == 'i' && mac ? *mac : token.value;
}

std::string_view line_end_of(std::string_view text) {
    const std::size_t newline = text.find('\n');
    const bool crlf = newline != std::string_view::npos && newline > 0 && text[newline - 1] == '\r';
    return crlf ? "\r\n" : "\n";
}

/// Whether the match can hold for the new card. KERNEL=="eth*" may stay in a rule that is right
/// otherwise, so that a VM with the server's own address needs no change: the initramfs that brings
/// the new card's driver carries the rule too, and a rule that is copied loses it in any case.
bool can_hold(const RuleToken& token) {
    const bool any_eth = token.key == "KERNEL" && token.op == "==" && token.value == "eth*";
    return !token.is_match() || (fits_any_card(token) && !token.parentheses) || any_eth;
}

bool is_right(const RuleLine& line, const Naming& naming, std::span<const NicBinding> nics) {
    if (naming.name == nullptr || naming.address == nullptr || !naming.plain) {
        return false;
    }
    const NicBinding* nic = find_name(nics, naming.given);
    return nic != nullptr && address_of(*naming.address) == nic->mac &&
           std::ranges::all_of(line.tokens, can_hold);
}

/// What is worth a word about a rule that stays.
void add_notes(const RuleLine& line, const Naming& naming, std::vector<std::string>& notes) {
    if (line.kind == RuleLineKind::unreadable) {
        notes.push_back(fmt::format("line {}: udev cannot read this, left as it is", line.number));
        return;
    }
    if (naming.name == nullptr || naming.address == nullptr) {
        return;
    }
    if (naming.address->parentheses) {
        notes.push_back(fmt::format("line {}: udev reads {}{{address}} with braces only",
                                    line.number, naming.address->key));
    }
    const std::string address = address_of(*naming.address);
    if (std::ranges::any_of(address, [](char c) { return c >= 'A' && c <= 'F'; })) {
        notes.push_back(fmt::format(
            "line {}: an address in upper case never matches, left as it is", line.number));
    } else if (const std::optional<std::string> mac = read_mac(address); mac && *mac != address) {
        notes.push_back(fmt::format(
            "line {}: an address without colons never matches, left as it is", line.number));
    }
}

/// What is worth a word about the file as a whole.
void add_file_notes(std::string_view content, std::vector<std::string>& notes) {
    if (content.starts_with("\xEF\xBB\xBF")) {
        notes.emplace_back("line 1: a byte order mark stands before it, which udev cannot read");
    }
    if (content.find("\r\n") != std::string_view::npos) {
        notes.emplace_back(
            "lines end in CR and LF, which an old udev may not read; left as they are");
    }
}

} // namespace

std::set<std::string> pinned_names(std::string_view content, std::span<const NicBinding> nics) {
    std::set<std::string> names;
    for (const RuleLine& line : parse_rules(content)) {
        const Naming naming = naming_of(line);
        if (is_right(line, naming, nics)) {
            names.insert(naming.given);
        }
    }
    return names;
}

RulesRewrite rewrite_rules(std::string_view content, std::span<const NicBinding> nics,
                           const std::set<std::string>& pinned_elsewhere) {
    RulesRewrite result{.pinned = pinned_elsewhere};
    result.pinned.merge(pinned_names(content, nics));
    const RuleDialect dialect = dialect_of(content);
    add_file_notes(content, result.notes);
    for (const RuleLine& line : parse_rules(content)) {
        const std::string_view raw = content.substr(line.begin, line.end - line.begin);
        const Naming naming = naming_of(line);
        if (naming.name == nullptr || is_right(line, naming, nics)) {
            add_notes(line, naming, result.notes);
            result.content += raw;
            continue;
        }
        const NicBinding* nic = find_name(nics, naming.given);
        const bool names_new_card =
            naming.address != nullptr && find_mac(nics, address_of(*naming.address)) != nullptr;
        if (nic == nullptr && !names_new_card) {
            add_notes(line, naming, result.notes);
            result.content += raw;
            continue;
        }
        result.content += commented_out(raw);
        if (nic != nullptr && result.pinned.insert(nic->name).second) {
            const std::string_view end = line_end_of(raw.ends_with('\n') ? raw : content);
            const std::string rule = copied_rule(line, naming, *nic, dialect);
            result.content +=
                fmt::format("{0}{1}{2}{1}{3}{1}", raw.ends_with('\n') ? "" : end, end, title, rule);
        }
    }
    return result;
}

std::vector<RuleBinding> bindings_in_rules(std::string_view content) {
    std::vector<RuleBinding> bindings;
    for (const RuleLine& line : parse_rules(content)) {
        const Naming naming = naming_of(line);
        if (naming.name == nullptr || naming.address == nullptr || !naming.plain) {
            continue;
        }
        if (std::optional<std::string> mac = read_mac(naming.address->value)) {
            bindings.push_back({.name = naming.given, .mac = *std::move(mac), .line = line.number});
        }
    }
    return bindings;
}

RuleDialect dialect_of(std::string_view content) {
    std::optional<RuleDialect> dialect;
    for (const RuleLine& line : parse_rules(content)) {
        const Naming naming = naming_of(line);
        if (naming.address == nullptr) {
            continue;
        }
        if (naming.name != nullptr && naming.name->key == "IMPORT") {
            return RuleDialect::import;
        }
        if (!dialect) {
            const std::string& key = naming.address->key;
            dialect = key == "ATTR"    ? RuleDialect::attr
                      : key == "SYSFS" ? RuleDialect::sysfs
                                       : RuleDialect::attrs;
        }
    }
    return dialect.value_or(RuleDialect::attr);
}

std::string append_rule(std::string_view content, const NicBinding& nic, RuleDialect dialect) {
    const std::string_view end = line_end_of(content);
    std::string result(content);
    if (!result.empty()) {
        // A last line that ends in a backslash would swallow what follows; the blank line ends it.
        result += fmt::format("{}{}", result.ends_with('\n') ? "" : end, end);
    }
    return result + fmt::format("{1}{0}{2}{0}", end, title, generated_rule(nic, dialect));
}

} // namespace coldspare::fixup
