#include "fixup/nic.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

namespace coldspare::fixup {

namespace {

constexpr std::size_t longest_name = 15; // IFNAMSIZ less the final zero byte
constexpr std::size_t mac_length = 17;
constexpr std::string_view mac_hint =
    "write six bytes as in 52:54:00:12:34:56; 52:54:00 is the prefix that QEMU uses";

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

char lower(char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string parse_mac(std::string_view text) {
    bool shape = text.size() == mac_length;
    std::string mac;
    for (std::size_t i = 0; shape && i < text.size(); ++i) {
        if (i % 3 == 2) {
            shape = (text[i] == ':' || text[i] == '-') && text[i] == text[2];
            mac += ':';
        } else {
            shape = is_hex(text[i]);
            mac += lower(text[i]);
        }
    }
    if (!shape) {
        throw usage_error(fmt::format("'{}' is not a hardware address", printable(text)),
                          std::string(mac_hint));
    }
    if (mac == "00:00:00:00:00:00") {
        throw usage_error(fmt::format("'{}' is nobody's hardware address", mac),
                          std::string(mac_hint));
    }
    // The lowest bit of the first byte says "group" (IEEE 802, 8.2): no card has such an address.
    constexpr std::string_view odd_digits = "13579bdf";
    if (odd_digits.find(mac[1]) != std::string_view::npos) {
        throw usage_error(fmt::format("'{}' is a group address: no network card has it", mac),
                          std::string(mac_hint));
    }
    return mac;
}

void check_name(std::string_view name) {
    bool good = !name.empty() && name.size() <= longest_name && name != "." && name != "..";
    for (const char c : name) {
        // Also what would end a udev value or start an expansion in it.
        good = good && c > ' ' && c < '\x7f' &&
               std::string_view("/:\"\\$%,{}*?[]|").find(c) == std::string_view::npos;
    }
    if (!good) {
        throw usage_error(
            fmt::format("'{}' is not the name of a network interface", printable(name)),
            fmt::format("names have 1 to {} letters, digits, '.', '-' or '_', as in eth0",
                        longest_name));
    }
}

} // namespace

NicBinding parse_nic(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) {
        throw usage_error(fmt::format("'--nic {}' has no '='", printable(text)),
                          "write NAME=MAC as in --nic eth0=52:54:00:12:34:56");
    }
    check_name(text.substr(0, equals));
    return {.name = std::string(text.substr(0, equals)), .mac = parse_mac(text.substr(equals + 1))};
}

std::vector<NicBinding> parse_nics(std::span<const std::string> texts) {
    std::vector<NicBinding> nics;
    for (const std::string& text : texts) {
        NicBinding nic = parse_nic(text);
        for (const NicBinding& other : nics) {
            if (other.name == nic.name) {
                throw usage_error(fmt::format("--nic names '{}' twice", nic.name));
            }
            if (other.mac == nic.mac) {
                throw usage_error(fmt::format("--nic gives {} to both '{}' and '{}'", nic.mac,
                                              other.name, nic.name),
                                  "every card of a virtual machine has an address of its own");
            }
        }
        nics.push_back(std::move(nic));
    }
    return nics;
}

} // namespace coldspare::fixup
