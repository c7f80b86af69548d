#pragma once

#include "base/handle.hpp"

#include <netdb.h>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace coldspare::clone {

/// Where to connect to, or to listen at.
struct Address {
    std::string host; ///< empty: every address of this machine
    std::string port;

    /// "host:port", "[::1]:port".
    [[nodiscard]] std::string text() const;
};

/// Reads "HOST:PORT", "[V6]:PORT"; `listening` also allows "PORT" and ":PORT". Throws Error (2).
enum class AddressUse { listen, connect };
[[nodiscard]] Address parse_address(std::string_view text, AddressUse use);

/// What the resolver makes of an address: sockets' addresses, in the order in which to try them.
using AddressList = Handle<addrinfo, freeaddrinfo>;

/// Blocks for as long as the resolver does. Throws Error.
[[nodiscard]] AddressList resolve(const Address& address, AddressUse use);

/// A socket's address in numbers.
[[nodiscard]] Address address_of(const sockaddr_storage& storage, socklen_t length);

} // namespace coldspare::clone
