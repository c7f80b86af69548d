#include "standby/domain_mark.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <array>

namespace coldspare::standby {

namespace {

constexpr std::array<std::string_view, 3> kinds{"cold", "drill", "active"};
constexpr std::size_t longest_name = 64;

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/// What is_standby_name() asks of a name, as far as it keeps a path together.
bool could_be_standby(std::string_view name) {
    return !name.empty() && name.size() <= longest_name &&
           std::string_view("-_.").find(name[0]) == std::string_view::npos &&
           std::ranges::all_of(name, is_name_character);
}

/// Whether this is "PREFIX:domain" of our name space, which libvirt declares on the element itself.
bool is_ours(const XmlElement& element) {
    const std::string_view name = element.name;
    const std::size_t colon = name.find(':');
    if (colon == std::string_view::npos) {
        return name == "domain" && element.attribute("xmlns") == metadata_namespace;
    }
    return name.substr(colon + 1) == "domain" &&
           element.attribute("xmlns:" + std::string(name.substr(0, colon))) == metadata_namespace;
}

std::optional<DomainMark> mark_in(std::string_view text, std::string_view root_name) {
    try {
        const XmlElement root = parse_xml(text);
        const XmlElement* metadata = root.child("metadata");
        if (root.name != root_name || metadata == nullptr) {
            return std::nullopt;
        }
        const auto found = std::ranges::find_if(metadata->children, is_ours);
        if (found == metadata->children.end()) {
            return std::nullopt;
        }
        DomainMark mark{.standby = std::string(found->attribute("standby")),
                        .kind = std::string(found->attribute("kind"))};
        const bool is_known =
            could_be_standby(mark.standby) && std::ranges::find(kinds, mark.kind) != kinds.end();
        return is_known ? std::optional(mark) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt; // no XML: none of ours
    }
}

} // namespace

XmlElement metadata_of(const DomainMark& mark, std::string_view version) {
    return {.name = "metadata",
            .children = {{.name = "coldspare:domain",
                          .attributes = {{"xmlns:coldspare", std::string(metadata_namespace)},
                                         {"standby", mark.standby},
                                         {"kind", mark.kind},
                                         {"version", std::string(version)}}}}};
}

std::optional<DomainMark> parse_domain_mark(std::string_view domain_xml) {
    return mark_in(domain_xml, "domain");
}

std::optional<DomainMark> parse_network_mark(std::string_view network_xml) {
    return mark_in(network_xml, "network");
}

} // namespace coldspare::standby
