#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What a hypervisor says that it can do: libvirt's domain capabilities
/// (https://libvirt.org/formatdomaincaps.html), as far as a standby needs to know.
namespace coldspare::standby {

struct DomainCapabilities {
    std::string type;                 ///< "kvm", "qemu"
    std::string architecture;         ///< "x86_64"
    std::vector<std::string> loaders; ///< paths of firmware
};

/// Reads the XML (standby/xml.hpp). Throws Error if it is something else or too large. Texts come
/// out printable().
[[nodiscard]] DomainCapabilities parse_domain_capabilities(std::string_view xml);

/// A UEFI and the template of its variables; both empty if there is none.
struct Firmware {
    std::string code;
    std::string variables;
    friend bool operator==(const Firmware&, const Firmware&) = default;
};

/// The one of `loaders` that a standby starts with: raw, without Secure Boot (the keys of the
/// server's firmware are not cloned), and in the order of libvirt otherwise. The variables lie
/// beside it under the name that all distributions give them: they are not looked for, because the
/// hypervisor may be another machine.
[[nodiscard]] Firmware choose_firmware(std::span<const std::string> loaders);

} // namespace coldspare::standby
