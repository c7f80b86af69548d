#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// XML as plain values: what libvirt is told about machines and networks, and what it answers.
namespace coldspare::standby {

struct XmlAttribute {
    std::string name;
    std::string value;
    friend bool operator==(const XmlAttribute&, const XmlAttribute&) = default;
};

/// An element has text or children, not both in turns. Names are as they stand there, with their
/// prefix: "qemu:arg".
struct XmlElement {
    std::string name;
    std::vector<XmlAttribute> attributes;
    std::string text;
    std::vector<XmlElement> children;
    friend bool operator==(const XmlElement&, const XmlElement&) = default;

    /// Its value, or an empty text if there is none.
    [[nodiscard]] std::string_view attribute(std::string_view key) const;
    /// The first child of this name, or null.
    [[nodiscard]] const XmlElement* child(std::string_view key) const;
};

inline constexpr std::size_t largest_xml = std::size_t{1} << 20; ///< bytes
inline constexpr std::size_t deepest_xml = 64;                   ///< elements in each other

/// Indented by two blanks, without a declaration. Throws Error (usage) if a text has a character
/// that XML 1.0 (section 2.2) does not know, or is not UTF-8.
[[nodiscard]] std::string write_xml(const XmlElement& root);

/// Comments and instructions are left out, and no entity but the five of XML is replaced. Texts are
/// as they stand there, not proved to be UTF-8. Throws Error if it is no XML, or beyond the limits.
[[nodiscard]] XmlElement parse_xml(std::string_view text);

} // namespace coldspare::standby
