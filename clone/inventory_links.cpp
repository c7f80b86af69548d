// Three questions: a dump of RTM_GETLINK (permanent address since Linux 5.6, other names since 5.5,
// kind), the ioctl of ethtool for the permanent address where the dump has none, and getifaddrs(3).
#include "clone/inventory_links.hpp"

#include "base/handle.hpp"
#include "base/inventory.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <optional>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace coldspare::clone {

namespace {

using Bytes = std::span<const std::byte>;

/// Messages and attributes begin at multiples of four bytes.
std::size_t aligned(std::size_t length) {
    return (length + 3) & ~std::size_t{3};
}

template <typename T>
std::optional<T> head_of(Bytes bytes) {
    if (bytes.size() < sizeof(T)) {
        return std::nullopt;
    }
    T head;
    std::memcpy(&head, bytes.data(), sizeof(T));
    return head;
}

Bytes behind(Bytes bytes, std::size_t length) {
    return bytes.subspan(std::min(length, bytes.size()));
}

constexpr unsigned type_mask = 0x3fff; // NLA_TYPE_MASK

/// Calls `use` with the type and the content of each attribute.
void each_attribute(Bytes bytes, const std::function<void(unsigned, Bytes)>& use) {
    while (const std::optional<rtattr> head = head_of<rtattr>(bytes)) {
        if (head->rta_len < sizeof(rtattr) || head->rta_len > bytes.size()) {
            return;
        }
        use(head->rta_type & type_mask,
            bytes.subspan(sizeof(rtattr), head->rta_len - sizeof(rtattr)));
        bytes = behind(bytes, aligned(head->rta_len));
    }
}

std::string text_of(Bytes bytes) {
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return printable(text.c_str()); // Up to the NUL.
}

std::string mac_of(Bytes bytes) {
    return normal_mac(
        to_hex(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
}

void read_info(Bytes info, LinkFacts& link) {
    Bytes data;
    each_attribute(info, [&](unsigned type, Bytes content) {
        if (type == IFLA_INFO_KIND) {
            link.kind = text_of(content);
        } else if (type == IFLA_INFO_DATA) {
            data = content;
        }
    });
    if (link.kind == "vlan") {
        each_attribute(data, [&](unsigned type, Bytes content) {
            if (type == IFLA_VLAN_ID) {
                link.vlan_id = head_of<std::uint16_t>(content).value_or(0);
            }
        });
    }
}

LinkFacts read_link(Bytes attributes) {
    LinkFacts link;
    each_attribute(attributes, [&](unsigned type, Bytes content) {
        if (type == IFLA_IFNAME) {
            link.name = text_of(content);
        } else if (type == IFLA_PERM_ADDRESS) {
            link.permanent_mac = mac_of(content);
        } else if (type == IFLA_LINKINFO) {
            read_info(content, link);
        } else if (type == IFLA_PROP_LIST) {
            each_attribute(content, [&](unsigned property, Bytes name) {
                if (property == IFLA_ALT_IFNAME) {
                    link.altnames.push_back(text_of(name));
                }
            });
        }
    });
    return link;
}

} // namespace

std::vector<LinkFacts> parse_links(Bytes messages) {
    std::vector<LinkFacts> links;
    while (const std::optional<nlmsghdr> head = head_of<nlmsghdr>(messages)) {
        if (head->nlmsg_len < sizeof(nlmsghdr) || head->nlmsg_len > messages.size()) {
            break;
        }
        if (head->nlmsg_type == RTM_NEWLINK) {
            const Bytes whole = messages.first(head->nlmsg_len);
            LinkFacts link = read_link(behind(whole, sizeof(nlmsghdr) + sizeof(ifinfomsg)));
            if (!link.name.empty()) {
                links.push_back(std::move(link));
            }
        }
        messages = behind(messages, aligned(head->nlmsg_len));
    }
    return links;
}

namespace {

bool is_end(Bytes messages) {
    while (const std::optional<nlmsghdr> head = head_of<nlmsghdr>(messages)) {
        if (head->nlmsg_type == NLMSG_DONE || head->nlmsg_type == NLMSG_ERROR ||
            head->nlmsg_len < sizeof(nlmsghdr)) {
            return true;
        }
        messages = behind(messages, aligned(head->nlmsg_len));
    }
    return false;
}

std::vector<LinkFacts> dump_links() {
    const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    const timeval patience{.tv_sec = 2, .tv_usec = 0};
    struct {
        nlmsghdr head;
        ifinfomsg body;
    } request{};
    request.head.nlmsg_len = sizeof(request);
    request.head.nlmsg_type = RTM_GETLINK;
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.ifi_family = AF_UNSPEC;
    if (!netlink ||
        ::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        ::send(netlink.get(), &request, sizeof(request), 0) < 0) {
        return {};
    }
    std::vector<LinkFacts> links;
    std::vector<std::byte> buffer(256 * 1024); // Longer than any part that the kernel makes.
    for (;;) {
        const ssize_t got = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) {
            return links;
        }
        const Bytes part = Bytes(buffer).first(static_cast<std::size_t>(got));
        for (LinkFacts& link : parse_links(part)) {
            links.push_back(std::move(link));
        }
        if (is_end(part)) {
            return links;
        }
    }
}

/// Kernels before 5.6 tell it only so.
std::string permanent_mac_by_ethtool(int socket, const std::string& name) {
    constexpr std::size_t longest = 32; // MAX_ADDR_LEN
    constexpr std::size_t head_size = sizeof(ethtool_perm_addr);
    ethtool_perm_addr head{};
    head.cmd = ETHTOOL_GPERMADDR;
    head.size = longest;
    alignas(ethtool_perm_addr) std::array<std::byte, head_size + longest> answer{};
    std::memcpy(answer.data(), &head, head_size);
    ifreq request{};
    if (name.size() >= sizeof(request.ifr_name)) {
        return {};
    }
    std::memcpy(request.ifr_name, name.data(), name.size());
    request.ifr_data = reinterpret_cast<char*>(answer.data());
    if (::ioctl(socket, SIOCETHTOOL, &request) != 0) {
        return {};
    }
    std::memcpy(&head, answer.data(), head_size);
    const std::size_t length = std::min<std::size_t>(head.size, longest);
    return mac_of(Bytes(answer).subspan(head_size, length));
}

unsigned prefix_of(Bytes mask) {
    unsigned bits = 0;
    for (const std::byte byte : mask) {
        bits += static_cast<unsigned>(std::popcount(std::to_integer<unsigned>(byte)));
    }
    return bits;
}

/// "192.0.2.10/24", or nothing for another family.
std::string address_of(const ifaddrs& entry) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (entry.ifa_addr == nullptr || entry.ifa_netmask == nullptr) {
        return {};
    }
    if (entry.ifa_addr->sa_family == AF_INET) {
        sockaddr_in address{};
        sockaddr_in mask{};
        std::memcpy(&address, entry.ifa_addr, sizeof(address));
        std::memcpy(&mask, entry.ifa_netmask, sizeof(mask));
        ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
        return fmt::format("{}/{}", text.data(),
                           prefix_of(std::as_bytes(std::span(&mask.sin_addr, 1))));
    }
    if (entry.ifa_addr->sa_family == AF_INET6) {
        sockaddr_in6 address{};
        sockaddr_in6 mask{};
        std::memcpy(&address, entry.ifa_addr, sizeof(address));
        std::memcpy(&mask, entry.ifa_netmask, sizeof(mask));
        ::inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
        return fmt::format("{}/{}", text.data(),
                           prefix_of(std::as_bytes(std::span(&mask.sin6_addr, 1))));
    }
    return {};
}

void add_addresses(std::vector<LinkFacts>& links) {
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) {
        return;
    }
    const Handle<ifaddrs, ::freeifaddrs> list(first);
    for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
        const std::string_view name = entry->ifa_name;
        // An address may have a label of its own: "eth0:1".
        const auto link =
            std::ranges::find(links, name.substr(0, name.find(':')), &LinkFacts::name);
        if (std::string address = address_of(*entry); link != links.end() && !address.empty()) {
            link->addresses.push_back(std::move(address));
        }
    }
}

} // namespace

std::vector<LinkFacts> read_links() {
    std::vector<LinkFacts> links = dump_links();
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    for (LinkFacts& link : links) {
        if (link.permanent_mac.empty() && link.kind.empty() && socket) {
            link.permanent_mac = permanent_mac_by_ethtool(socket.get(), link.name);
        }
    }
    add_addresses(links);
    return links;
}

} // namespace coldspare::clone
