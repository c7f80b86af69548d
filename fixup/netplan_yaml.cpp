// netplan's files by libyaml: aliases and flow style are what they are to netplan, and a mark says
// where in the text a value stands. Only this file knows the library.
#include "fixup/mac_sites.hpp"

#include <yaml.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::size_t largest_text = std::size_t{1} << 20;
constexpr std::size_t most_documents = 16;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

class Parser {
public:
    explicit Parser(std::string_view text) {
        if (yaml_parser_initialize(&parser_) == 0) {
            return;
        }
        usable_ = true;
        yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                     text.size());
    }
    ~Parser() {
        if (usable_) {
            yaml_parser_delete(&parser_);
        }
    }
    Parser(const Parser&) = delete;
    Parser& operator=(const Parser&) = delete;
    Parser(Parser&&) = delete;
    Parser& operator=(Parser&&) = delete;

    /// Whether there was another document without mistakes.
    bool load(yaml_document_t& document) {
        return usable_ && yaml_parser_load(&parser_, &document) != 0;
    }

private:
    yaml_parser_t parser_{};
    bool usable_ = false;
};

class Document {
public:
    explicit Document(Parser& parser) : loaded_(parser.load(document_)) {}
    ~Document() {
        if (loaded_) {
            yaml_document_delete(&document_);
        }
    }
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;
    Document(Document&&) = delete;
    Document& operator=(Document&&) = delete;

    [[nodiscard]] yaml_node_t* root() {
        return loaded_ ? yaml_document_get_root_node(&document_) : nullptr;
    }
    [[nodiscard]] yaml_node_t* node(int index) { return yaml_document_get_node(&document_, index); }

private:
    yaml_document_t document_{};
    bool loaded_ = false;
};

std::string_view scalar(const yaml_node_t* node) {
    if (node == nullptr || node->type != YAML_SCALAR_NODE) {
        return {};
    }
    return {reinterpret_cast<const char*>(node->data.scalar.value), node->data.scalar.length};
}

/// Calls `use(key, value)` for each pair of a mapping; for nothing else.
template <typename Use>
void each_pair(Document& document, const yaml_node_t* node, const Use& use) {
    if (node == nullptr || node->type != YAML_MAPPING_NODE) {
        return;
    }
    for (const yaml_node_pair_t* pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; ++pair) {
        if (yaml_node_t* value = document.node(pair->value); value != nullptr) {
            use(scalar(document.node(pair->key)), *value);
        }
    }
}

yaml_node_t* member(Document& document, const yaml_node_t* node, std::string_view name) {
    yaml_node_t* found = nullptr;
    each_pair(document, node, [&](std::string_view key, yaml_node_t& value) {
        found = key == name ? &value : found;
    });
    return found;
}

/// Where characters stand, as bytes: libyaml counts characters.
class Positions {
public:
    explicit Positions(std::string_view text) {
        const std::size_t skipped = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
        for (std::size_t i = skipped; i < text.size(); ++i) {
            if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) {
                bytes_.push_back(i);
            }
        }
        bytes_.push_back(text.size());
    }
    [[nodiscard]] std::size_t byte(std::size_t character) const {
        return bytes_[std::min(character, bytes_.size() - 1)];
    }

private:
    std::vector<std::size_t> bytes_;
};

/// What one device of a netplan file says.
void add_device(Document& document, std::string_view text, const Positions& positions,
                std::string_view id, const yaml_node_t& device, std::vector<MacSite>& sites) {
    const yaml_node_t* address = member(document, member(document, &device, "match"), "macaddress");
    const std::optional<std::string> mac = read_mac(scalar(address));
    if (!mac) {
        return;
    }
    const std::size_t begin = positions.byte(address->start_mark.index);
    const std::size_t end = std::max(begin, positions.byte(address->end_mark.index));
    // Between the marks stand quotes, an anchor or a tag as well.
    const std::size_t at = text.substr(0, end).find(scalar(address), begin);
    const bool whole = at == begin || (at != std::string_view::npos &&
                                       std::string_view("\"' \t\r\n").find(text[at - 1]) !=
                                           std::string_view::npos);
    if (at == std::string_view::npos || !whole) {
        return; // written with escapes
    }
    const std::string_view given = scalar(member(document, &device, "set-name"));
    sites.push_back({.begin = at,
                     .end = at + scalar(address).size(),
                     .line = address->start_mark.line + 1,
                     .mac = *mac,
                     .name = std::string(given.empty() ? id : given),
                     .kind = given.empty() ? SiteKind::finds : SiteKind::names});
}

} // namespace

std::vector<MacSite> sites_in_netplan(std::string_view text) {
    std::vector<MacSite> sites;
    if (text.empty() || text.size() > largest_text) {
        return sites;
    }
    const Positions positions(text);
    Parser parser(text);
    for (std::size_t number = 0; number < most_documents; ++number) {
        Document document(parser);
        if (document.root() == nullptr) {
            break;
        }
        const yaml_node_t* network = member(document, document.root(), "network");
        each_pair(document, network, [&](std::string_view, const yaml_node_t& devices) {
            each_pair(document, &devices, [&](std::string_view id, const yaml_node_t& device) {
                add_device(document, text, positions, id, device, sites);
            });
        });
    }
    // An alias leads to the same place twice; the place is edited once.
    std::ranges::stable_sort(sites, {}, &MacSite::begin);
    const auto same = std::ranges::unique(sites, {}, &MacSite::begin);
    sites.erase(same.begin(), same.end());
    return sites;
}

} // namespace coldspare::fixup
