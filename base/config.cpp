#include "base/config.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/nearest_word.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <variant>

#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

// The file is parsed once into nodes of our own, each with its line and a mark whether a reader has
// asked for it. Everything else is questions to these nodes.

namespace coldspare {

namespace {

constexpr int deepest = 8; ///< tables and lists within each other
constexpr std::size_t longest_text = 4096;
constexpr std::size_t most_complaints = 100;

struct Other {}; ///< a date, a time, a number that is not whole

using Table = std::map<std::string, ConfigNode, std::less<>>;
using List = std::vector<ConfigNode>;

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 4> sizes{{{"KiB", std::uint64_t{1} << 10},
                                     {"MiB", std::uint64_t{1} << 20},
                                     {"GiB", std::uint64_t{1} << 30},
                                     {"TiB", std::uint64_t{1} << 40}}};
constexpr std::array<Unit, 4> times{{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};

/// "4GiB" with the units of a table.
std::optional<std::uint64_t> amount(std::string_view text, std::span<const Unit> units) {
    constexpr std::size_t most_digits = 9;
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > most_digits) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char c : text.substr(0, digits)) {
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    const std::string_view unit = trim(text.substr(digits));
    const auto found = std::ranges::find(units, unit, &Unit::name);
    return found == units.end() ? std::nullopt : std::optional(value * found->factor);
}

} // namespace

struct ConfigNode {
    unsigned line = 0;
    bool asked = false;  ///< by a reader
    bool opened = false; ///< as a table
    std::variant<Other, std::string, std::int64_t, bool, List, Table> value;

    [[nodiscard]] Table* table() { return std::get_if<Table>(&value); }
    [[nodiscard]] std::string_view kind() const {
        constexpr std::array<std::string_view, 6> words{
            "a value of another kind", "a text", "a number", "true or false", "a list", "a table"};
        return words.at(value.index());
    }
};

namespace {

class Converter {
public:
    explicit Converter(std::string_view file) : file_(file) {}

    ConfigNode node(const toml::node& from, unsigned line, int depth) const {
        ConfigNode made{.line = std::max(line, static_cast<unsigned>(from.source().begin.line))};
        if (depth > deepest) {
            throw usage_error(fmt::format("{}:{}: tables and lists are nested more than {} deep",
                                          file_, made.line, deepest));
        }
        if (const toml::table* const table = from.as_table()) {
            Table& members = made.value.emplace<Table>();
            for (const auto& [key, value] : *table) {
                const auto key_line = static_cast<unsigned>(key.source().begin.line);
                members.emplace(std::string(key.str()), node(value, key_line, depth + 1));
            }
        } else if (const toml::array* const list = from.as_array()) {
            List& elements = made.value.emplace<List>();
            for (const toml::node& element : *list) {
                elements.push_back(node(element, made.line, depth + 1));
            }
        } else if (const auto text = from.value_exact<std::string>()) {
            made.value = *text;
        } else if (const auto number = from.value_exact<std::int64_t>()) {
            made.value = *number;
        } else if (const auto flag = from.value_exact<bool>()) {
            made.value = *flag;
        }
        return made;
    }

private:
    std::string file_;
};

} // namespace

// --- the file

ConfigFile::ConfigFile(std::string name, std::string_view text)
    : name_(std::move(name)), root_(std::make_unique<ConfigNode>()) {
    if (text.size() > largest_config) {
        throw usage_error(fmt::format("'{}' has {} bytes, and {} are the most that a configuration "
                                      "can have",
                                      name_, text.size(), largest_config));
    }
    try {
        const toml::table parsed = toml::parse(text, name_);
        *root_ = Converter(name_).node(parsed, 0, 0);
    } catch (const toml::parse_error& error) {
        throw usage_error(fmt::format("{}:{}: {}", name_, error.source().begin.line,
                                      printable(error.description())));
    }
}

ConfigFile::~ConfigFile() = default;

ConfigTable ConfigFile::root() {
    root_->opened = true;
    return {*this, root_.get(), ""};
}

void ConfigFile::complain(unsigned line, std::string text) {
    complaints_.push_back({line, std::move(text)});
}

void ConfigFile::finish() {
    const auto look = [this](const auto& self, ConfigNode& node, const std::string& name) -> void {
        if (List* const list = std::get_if<List>(&node.value)) {
            for (ConfigNode& element : *list) {
                self(self, element, name);
            }
        }
        Table* const table = node.table();
        if (table == nullptr || !node.opened) {
            return;
        }
        for (auto& [key, value] : *table) {
            const std::string full = name.empty() ? key : fmt::format("{}.{}", name, key);
            if (value.asked) {
                self(self, value, full);
            } else {
                const std::set<std::string>& known = known_[name];
                const std::string_view near = nearest_word(key, {known.begin(), known.end()});
                complain(value.line, near.empty()
                                         ? fmt::format("there is no '{}' here", printable(full))
                                         : fmt::format("there is no '{}' here; did you mean '{}'?",
                                                       printable(full), near));
            }
        }
    };
    look(look, *root_, "");
    if (complaints_.empty()) {
        return;
    }
    std::ranges::stable_sort(complaints_, {}, &Complaint::line);
    std::vector<std::string> lines;
    for (const Complaint& complaint : complaints_) {
        if (lines.size() == most_complaints) {
            lines.push_back(
                fmt::format("{}: and {} more", name_, complaints_.size() - lines.size()));
            break;
        }
        lines.push_back(complaint.line == 0
                            ? fmt::format("{}: {}", name_, complaint.text)
                            : fmt::format("{}:{}: {}", name_, complaint.line, complaint.text));
    }
    throw usage_error(fmt::format("{}", fmt::join(lines, "\n")));
}

// --- a table

unsigned ConfigTable::line() const {
    return node_ == nullptr ? 0 : node_->line;
}

const ConfigNode* ConfigTable::peek(std::string_view key) const {
    if (node_ == nullptr) {
        return nullptr;
    }
    const Table& members = *node_->table();
    const auto found = members.find(key);
    return found == members.end() ? nullptr : &found->second;
}

unsigned ConfigTable::line_of(std::string_view key) const {
    const ConfigNode* const node = peek(key);
    return node == nullptr ? line() : node->line;
}

bool ConfigTable::has(std::string_view key) const {
    return peek(key) != nullptr;
}

std::string ConfigTable::full(std::string_view key) const {
    return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
}

void ConfigTable::complain(std::string_view key, std::string text) const {
    file_->complain(line_of(key), fmt::format("'{}' {}", full(key), text));
}

ConfigNode* ConfigTable::ask(std::string_view key, Need need) {
    file_->known_[name_].emplace(key);
    if (node_ == nullptr) {
        return nullptr;
    }
    Table& members = *node_->table();
    const auto found = members.find(key);
    if (found != members.end()) {
        found->second.asked = true;
        return &found->second;
    }
    if (need == Need::required) {
        complain(key, "is missing");
    }
    return nullptr;
}

/// The text of a node, or a complaint.
std::optional<std::string> ConfigTable::text_in(const ConfigNode& node, std::string_view key) {
    const std::string* const text = std::get_if<std::string>(&node.value);
    if (text == nullptr) {
        complain(key, fmt::format("is {}, and a text is wanted: in \"quotes\"", node.kind()));
    } else if (text->empty()) {
        complain(key, "is empty");
    } else if (text->size() > longest_text) {
        complain(key, fmt::format("has {} bytes, and {} are the most", text->size(), longest_text));
    } else if (printable(*text) != *text) {
        complain(key, "has control characters in it, or is not UTF-8");
    } else {
        return *text;
    }
    return std::nullopt;
}

std::optional<std::string> ConfigTable::text(std::string_view key, Need need) {
    const ConfigNode* const node = ask(key, need);
    return node == nullptr ? std::nullopt : text_in(*node, key);
}

std::optional<std::string>
ConfigTable::word(std::string_view key, const std::vector<std::string_view>& words, Need need) {
    std::optional<std::string> text = this->text(key, need);
    if (text && std::ranges::find(words, *text) == words.end()) {
        const std::string_view near = nearest_word(*text, words);
        complain(key, near.empty()
                          ? fmt::format("is '{}', and can be: {}", *text, fmt::join(words, ", "))
                          : fmt::format("is '{}'; did you mean '{}'?", *text, near));
        return std::nullopt;
    }
    return text;
}

std::optional<std::uint64_t>
ConfigTable::in_range(std::string_view key, std::optional<std::uint64_t> value, std::uint64_t least,
                      std::uint64_t most, const std::function<std::string(std::uint64_t)>& shown) {
    if (value && (*value < least || *value > most)) {
        complain(key, fmt::format("is {}, and must be from {} to {}", shown(*value), shown(least),
                                  shown(most)));
        return std::nullopt;
    }
    return value;
}

std::optional<std::uint64_t> ConfigTable::number(std::string_view key, std::uint64_t least,
                                                 std::uint64_t most, Need need) {
    const ConfigNode* const node = ask(key, need);
    if (node == nullptr) {
        return std::nullopt;
    }
    const std::int64_t* const value = std::get_if<std::int64_t>(&node->value);
    if (value == nullptr || *value < 0) {
        complain(key, value == nullptr
                          ? fmt::format("is {}, and a whole number is wanted", node->kind())
                          : fmt::format("is {}, and cannot be negative", *value));
        return std::nullopt;
    }
    return in_range(key, static_cast<std::uint64_t>(*value), least, most,
                    [](std::uint64_t n) { return fmt::format("{}", n); });
}

std::optional<std::uint64_t> ConfigTable::size(std::string_view key, std::uint64_t least,
                                               std::uint64_t most, Need need) {
    const std::optional<std::string> text = this->text(key, need);
    const std::optional<std::uint64_t> bytes = text ? amount(*text, sizes) : std::nullopt;
    if (text && !bytes) {
        complain(key, fmt::format("is '{}', and a size is a whole number with KiB, MiB, GiB or "
                                  "TiB: \"4GiB\"",
                                  *text));
    }
    return in_range(key, bytes, least, most, [](std::uint64_t n) { return format_bytes(n); });
}

std::optional<std::uint64_t> ConfigTable::duration(std::string_view key, Need need) {
    const std::optional<std::string> text = this->text(key, need);
    const std::optional<std::uint64_t> seconds = text ? amount(*text, times) : std::nullopt;
    if (text && !seconds) {
        complain(key, fmt::format("is '{}', and a time is a whole number with s, m, h or d: "
                                  "\"35d\"",
                                  *text));
    }
    return seconds;
}

std::optional<bool> ConfigTable::flag(std::string_view key) {
    const ConfigNode* const node = ask(key, Need::optional);
    if (node == nullptr) {
        return std::nullopt;
    }
    const bool* const value = std::get_if<bool>(&node->value);
    if (value == nullptr) {
        complain(key,
                 fmt::format("is {}, and true or false is wanted, without quotes", node->kind()));
        return std::nullopt;
    }
    return *value;
}

std::vector<std::string> ConfigTable::texts(std::string_view key) {
    const ConfigNode* const node = ask(key, Need::optional);
    std::vector<std::string> found;
    if (node == nullptr) {
        return found;
    }
    const auto take = [&](const ConfigNode& element) {
        if (std::optional<std::string> text = text_in(element, key)) {
            found.push_back(*std::move(text));
        }
    };
    if (const List* const list = std::get_if<List>(&node->value)) {
        std::ranges::for_each(*list, take);
    } else {
        take(*node);
    }
    return found;
}

ConfigTable ConfigTable::table(std::string_view key) {
    ConfigNode* node = ask(key, Need::optional);
    if (node != nullptr && node->table() == nullptr) {
        complain(key, fmt::format("is {}, and a table is wanted: [{}]", node->kind(), full(key)));
        node = nullptr;
    }
    if (node != nullptr) {
        node->opened = true;
    }
    return {*file_, node, full(key)};
}

std::vector<ConfigTable> ConfigTable::tables(std::string_view key) {
    ConfigNode* const node = ask(key, Need::optional);
    std::vector<ConfigTable> found;
    if (node == nullptr) {
        return found;
    }
    List* const list = std::get_if<List>(&node->value);
    const bool all_tables = list != nullptr && std::ranges::all_of(*list, [](ConfigNode& element) {
                                return element.table() != nullptr;
                            });
    if (!all_tables) {
        complain(key, fmt::format("is {}, and tables are wanted: [[{}]]", node->kind(), full(key)));
        return found;
    }
    for (ConfigNode& element : *list) {
        element.opened = true;
        found.push_back(ConfigTable(*file_, &element, full(key)));
    }
    return found;
}

std::unique_ptr<ConfigFile> open_config(const std::filesystem::path& path) {
    return std::make_unique<ConfigFile>(path.string(), read_file(path, largest_config));
}

} // namespace coldspare
