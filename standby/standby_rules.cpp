#include "standby/standby_rules.hpp"

#include "base/error.hpp"
#include "base/inventory.hpp"
#include "base/text.hpp"
#include "clone/address.hpp"
#include "fixup/nic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace coldspare::standby {

namespace {

constexpr std::size_t longest_path = 4095;
constexpr std::size_t longest_libvirt_name = 128; // it becomes a part of names of files and sockets
constexpr std::size_t longest_host = 253;         // RFC 1035 2.3.4
constexpr std::size_t longest_nic_name = 15;      // IFNAMSIZ less the final zero byte
constexpr std::size_t longest_identity = 128;

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool consists_of(std::string_view text, std::string_view others) {
    return std::ranges::all_of(text, [others](char c) {
        return is_letter_or_digit(c) || others.find(c) != std::string_view::npos;
    });
}

std::string complaint_about_length(std::string_view text, std::size_t most) {
    return text.empty() || text.size() > most
               ? fmt::format("has {} bytes, and 1 to {} are allowed", text.size(), most)
               : std::string();
}

std::optional<clone::Address> address_in(std::string_view text, clone::AddressUse use) {
    try {
        return clone::parse_address(text, use);
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::string complaint_about_address(std::string_view text, clone::AddressUse use,
                                    std::string_view shape) {
    const std::optional<clone::Address> address = address_in(text, use);
    if (!address) {
        return std::string(shape);
    }
    if (address->port.find_first_not_of('0') == std::string::npos) {
        return "has port 0";
    }
    return address->host.empty() ? std::string() : complaint_about_host(address->host);
}

std::string complaint_about_identity(std::string_view text, std::string_view others) {
    if (std::string complaint = complaint_about_length(text, longest_identity);
        !complaint.empty()) {
        return complaint;
    }
    return consists_of(text, others) ? std::string()
                                     : fmt::format("has other characters than letters, digits and "
                                                   "'{}'",
                                                   others);
}

} // namespace

std::string complaint_about_path(std::string_view text) {
    return text.starts_with('/') ? complaint_about_inner_path(text.substr(1))
                                 : "does not begin with '/'";
}

std::string complaint_about_inner_path(std::string_view text) {
    if (std::string complaint = complaint_about_length(text, longest_path); !complaint.empty()) {
        return complaint;
    }
    if (printable(text) != text) {
        return "has control characters in it, or is not UTF-8";
    }
    if (text.starts_with('/')) {
        return "begins with '/'";
    }
    while (true) {
        const std::size_t slash = text.find('/');
        const std::string_view part = text.substr(0, slash);
        if (part.empty()) {
            return slash == std::string_view::npos ? "ends with '/'" : "has '//' in it";
        }
        if (part == "." || part == "..") {
            return fmt::format("has '{}' in it", part);
        }
        if (slash == std::string_view::npos) {
            return {};
        }
        text.remove_prefix(slash + 1);
    }
}

std::string complaint_about_libvirt_name(std::string_view text) {
    if (std::string complaint = complaint_about_length(text, longest_libvirt_name);
        !complaint.empty()) {
        return complaint;
    }
    if (printable(text) != text) {
        return "has control characters in it, or is not UTF-8";
    }
    if (text.find('/') != std::string_view::npos) {
        return "has '/' in it";
    }
    if (text == "." || text == ".." || text.starts_with('-')) {
        return "is '.' or '..', or begins with '-'";
    }
    return trim(text) == text ? "" : "begins or ends with a blank";
}

std::string complaint_about_uri(std::string_view text) {
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos || colon == 0 ||
        !consists_of(text.substr(0, colon), "+-.")) {
        return "is no URI of libvirt, as qemu:///system is";
    }
    return text.find(' ') == std::string_view::npos ? "" : "has a blank in it";
}

std::string complaint_about_host(std::string_view text) {
    if (std::string complaint = complaint_about_length(text, longest_host); !complaint.empty()) {
        return complaint;
    }
    return text.starts_with('-') || !consists_of(text, ".-_:%")
               ? "is neither the name of a host nor an address"
               : "";
}

std::string complaint_about_connect(std::string_view text) {
    return complaint_about_address(text, clone::AddressUse::connect,
                                   "is neither HOST:PORT nor [IPV6]:PORT");
}

std::string complaint_about_listen(std::string_view text) {
    return complaint_about_address(text, clone::AddressUse::listen,
                                   "is neither PORT nor ADDRESS:PORT nor [IPV6]:PORT");
}

std::string complaint_about_nic_name(std::string_view text) {
    constexpr std::string_view some_mac = "=52:54:00:12:34:56";
    const bool plain = text.size() <= longest_nic_name && is_interface_name(text) &&
                       text.find('=') == std::string_view::npos;
    try {
        if (plain) {
            static_cast<void>(fixup::parse_nic(std::string(text).append(some_mac)));
            return {};
        }
    } catch (const Error&) {
        // What fixup would refuse later.
    }
    return fmt::format("is no name of a network interface: 1 to {} letters, digits, '.', '-' or "
                       "'_', as in eth0",
                       longest_nic_name);
}

std::string complaint_about_mac(std::string_view text) {
    constexpr std::size_t six_bytes = 17;
    const std::string mac = normal_mac(text);
    if (mac.size() != six_bytes) {
        return "is no MAC address of six bytes, as 52:54:00:12:34:56 is";
    }
    // The lowest bit of the first byte says "group" (IEEE 802, 8.2): no card has such an address.
    if (std::string_view("13579bdf").find(mac[1]) != std::string_view::npos) {
        return "is a group address: no network card has it";
    }
    return mac.starts_with("fe:")
               ? "begins with fe: libvirt keeps these for the host's end of the cable"
               : "";
}

std::string complaint_about_disk_source(std::string_view text) {
    if (std::string complaint = complaint_about_length(text, longest_identity);
        !complaint.empty()) {
        return complaint;
    }
    if (printable(text) != text || trim(text) != text) {
        return "begins or ends with a blank, or has control characters in it";
    }
    return text.find('=') == std::string_view::npos && text.find("://") == std::string_view::npos
               ? ""
               : "is neither the name of a disk nor a serial number";
}

std::string complaint_about_uuid(std::string_view text) {
    return complaint_about_identity(text, "-");
}

std::string complaint_about_wwid(std::string_view text) {
    return complaint_about_identity(text, "-._:");
}

std::string complaint_about_target(std::string_view text) {
    constexpr std::size_t longest_target = 223; // RFC 3720 3.2.6.1
    if (std::string complaint = complaint_about_length(text, longest_target); !complaint.empty()) {
        return complaint;
    }
    if (!text.starts_with("iqn.") && !text.starts_with("eui.") && !text.starts_with("naa.")) {
        return "begins with neither 'iqn.' nor 'eui.' nor 'naa.'";
    }
    return consists_of(text, ".:-_") ? "" : "has other characters than letters, digits and '.:-_'";
}

std::string complaint_about_port(std::string_view text) {
    std::string_view digits = text;
    if (text.starts_with("tcp/") || text.starts_with("udp/")) {
        digits.remove_prefix(4);
    }
    unsigned port = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const bool whole = failed == std::errc() && end == digits.data() + digits.size();
    return whole && port >= 1 && port <= 65535 ? "" : "is no port, as 143 and udp/53 are";
}

} // namespace coldspare::standby
