#pragma once

#include "standby/xml.hpp"

#include <optional>
#include <string>
#include <string_view>

/// How a machine or a network of libvirt is known to be ours: an element of our name space in its
/// <metadata>, which libvirt keeps as it is.
namespace coldspare::standby {

inline constexpr std::string_view metadata_namespace = "https://coldspare.invalid/domain/1";

/// What the metadata say.
struct DomainMark {
    std::string standby;
    std::string kind; ///< "cold", "drill", "active"
    friend bool operator==(const DomainMark&, const DomainMark&) = default;
};

/// The whole <metadata>; `version` is coldspare's.
[[nodiscard]] XmlElement metadata_of(const DomainMark& mark, std::string_view version);

/// What the metadata of a domain say, or nothing if it is none of ours. Anybody who may define
/// domains could have written it: what comes back is a name and one of the three kinds, no more.
[[nodiscard]] std::optional<DomainMark> parse_domain_mark(std::string_view domain_xml);

/// The same of a network.
[[nodiscard]] std::optional<DomainMark> parse_network_mark(std::string_view network_xml);

} // namespace coldspare::standby
