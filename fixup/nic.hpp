#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// One network interface of the virtual machine: the name that the copied system knows, and the
/// hardware address that the VM's card will have ("52:54:00:12:34:56": lower case, colons).
struct NicBinding {
    std::string name;
    std::string mac;
    friend bool operator==(const NicBinding&, const NicBinding&) = default;
};

/// Reads "eth0=52:54:00:12:34:56"; '-' between the digits and upper case are understood too.
/// Throws Error (usage) for a name that Linux would not take (1 to 15 bytes, no '/', ':' or blank),
/// for anything but six bytes, for a group address and for the address of all zeros.
[[nodiscard]] NicBinding parse_nic(std::string_view text);

/// Reads all of them, and refuses the same name or the same address twice.
[[nodiscard]] std::vector<NicBinding> parse_nics(std::span<const std::string> texts);

} // namespace coldspare::fixup
