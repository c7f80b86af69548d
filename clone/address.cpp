#include "clone/address.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <array>

namespace coldspare::clone {

std::string Address::text() const {
    if (host.find(':') != std::string::npos) {
        return fmt::format("[{}]:{}", host, port);
    }
    return fmt::format("{}:{}", host.empty() ? "*" : host, port);
}

Address parse_address(std::string_view text, AddressUse use) {
    const auto complain = [&] {
        return usage_error(fmt::format("'{}' is not an address", text),
                           use == AddressUse::listen
                               ? "write PORT, ADDRESS:PORT or [IPV6]:PORT, for example 10000"
                               : "write HOST:PORT or [IPV6]:PORT, for example 192.0.2.10:10000");
    };
    Address address;
    std::string_view port = text;
    if (text.starts_with('[')) {
        const std::size_t end = text.find("]:");
        if (end == std::string_view::npos) {
            throw complain();
        }
        address.host = text.substr(1, end - 1);
        port = text.substr(end + 2);
    } else if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
        address.host = text.substr(0, colon);
        port = text.substr(colon + 1);
    }
    const bool digits = !port.empty() && port.size() <= 5 &&
                        port.find_first_not_of("0123456789") == std::string_view::npos;
    const unsigned long number = digits ? std::stoul(std::string(port)) : 65536;
    const bool bare_v6 = !text.starts_with('[') && address.host.find(':') != std::string::npos;
    const bool unreachable = use == AddressUse::connect && (address.host.empty() || number == 0);
    if (number > 65535 || bare_v6 || unreachable) {
        throw complain();
    }
    address.port = port;
    return address;
}

AddressList resolve(const Address& address, AddressUse use) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = use == AddressUse::listen ? AI_PASSIVE : AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    const int code = ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                                   address.port.c_str(), &hints, &list);
    if (code != 0) {
        throw Error(fmt::format("cannot resolve '{}': {}", address.text(), ::gai_strerror(code)),
                    "check the name, or use the address itself");
    }
    return AddressList(list);
}

Address address_of(const sockaddr_storage& storage, socklen_t length) {
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&storage), length, host.data(), host.size(),
                      port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return {"an unknown address", "0"};
    }
    return {host.data(), port.data()};
}

} // namespace coldspare::clone
