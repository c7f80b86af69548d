#include "standby/xml.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <pugixml.hpp>

#include <algorithm>
#include <cstdint>
#include <set>
#include <sstream>
#include <string_view>

namespace coldspare::standby {

namespace {

/// The character that `text` begins with, and how many bytes it has; 0 of them if it is none.
struct Character {
    std::uint32_t code = 0;
    std::size_t length = 0;
};

Character first_character(std::string_view text) {
    const auto byte = [&text](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
    };
    const std::uint32_t first = byte(0);
    if (first < 0x80) {
        return {.code = first, .length = 1};
    }
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) {
        return {};
    }
    std::uint32_t code = first & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) {
            return {};
        }
        code = code << 6U | (byte(i) & 0x3fU);
    }
    const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    return is_overlong ? Character{} : Character{.code = code, .length = length};
}

/// XML 1.0, 2.2: what a document may be made of.
bool is_known(std::uint32_t code) {
    return code == 0x9 || code == 0xa || code == 0xd || (code >= 0x20 && code <= 0xd7ff) ||
           (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff);
}

const char* checked(const std::string& text) {
    std::string_view rest = text;
    while (!rest.empty()) {
        const Character character = first_character(rest);
        if (character.length == 0 || !is_known(character.code)) {
            throw usage_error(
                fmt::format("'{}' cannot be written as XML: it has a character that is no text",
                            printable(text)));
        }
        rest.remove_prefix(character.length);
    }
    return text.c_str();
}

void append(pugi::xml_node parent, const XmlElement& element) {
    pugi::xml_node node = parent.append_child(element.name.c_str());
    for (const XmlAttribute& attribute : element.attributes) {
        node.append_attribute(attribute.name.c_str()).set_value(checked(attribute.value));
    }
    if (!element.text.empty()) {
        node.append_child(pugi::node_pcdata).set_value(checked(element.text));
    }
    for (const XmlElement& child : element.children) {
        append(node, child);
    }
}

XmlElement element_from(pugi::xml_node node, std::size_t depth) {
    if (depth > deepest_xml) {
        throw Error(fmt::format("reading XML: more than {} elements in each other", deepest_xml));
    }
    XmlElement element{.name = node.name()};
    std::set<std::string_view> names;
    for (const pugi::xml_attribute attribute : node.attributes()) {
        // XML 1.0, 3.1: an attribute stands once in a tag; pugixml does not ask.
        if (!names.insert(attribute.name()).second) {
            throw Error(fmt::format("reading XML: '{}' has the attribute '{}' twice",
                                    printable(element.name), printable(attribute.name())));
        }
        element.attributes.push_back({.name = attribute.name(), .value = attribute.value()});
    }
    for (const pugi::xml_node child : node.children()) {
        if (child.type() == pugi::node_element) {
            element.children.push_back(element_from(child, depth + 1));
        } else {
            element.text += child.value();
        }
    }
    return element;
}

} // namespace

std::string_view XmlElement::attribute(std::string_view key) const {
    const auto found = std::ranges::find(attributes, key, &XmlAttribute::name);
    return found == attributes.end() ? std::string_view{} : std::string_view(found->value);
}

const XmlElement* XmlElement::child(std::string_view key) const {
    const auto found = std::ranges::find(children, key, &XmlElement::name);
    return found == children.end() ? nullptr : &*found;
}

std::string write_xml(const XmlElement& root) {
    pugi::xml_document document;
    append(document, root);
    std::ostringstream text;
    document.save(text, "  ", pugi::format_indent | pugi::format_no_declaration,
                  pugi::encoding_utf8);
    return text.str();
}

XmlElement parse_xml(std::string_view text) {
    if (text.size() > largest_xml) {
        throw Error(fmt::format("reading XML: it has {}; the limit is {}",
                                format_bytes(text.size()), format_bytes(largest_xml)));
    }
    pugi::xml_document document;
    const pugi::xml_parse_result result = document.load_buffer(
        text.data(), text.size(), pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol,
        pugi::encoding_utf8);
    if (!result) {
        throw Error(fmt::format("reading XML: {} at byte {}", result.description(), result.offset));
    }
    return element_from(document.document_element(), 1);
}

} // namespace coldspare::standby
