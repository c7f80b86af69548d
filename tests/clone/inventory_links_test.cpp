#include "clone/inventory_links.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <linux/rtnetlink.h>
#include <string>
#include <string_view>

namespace coldspare::clone {

namespace {

std::string padded(std::string bytes) {
    bytes.resize((bytes.size() + 3) / 4 * 4, '\0');
    return bytes;
}

std::string attribute(unsigned short type, const std::string& content) {
    const rtattr head{.rta_len = static_cast<unsigned short>(sizeof(rtattr) + content.size()),
                      .rta_type = type};
    return padded(std::string(reinterpret_cast<const char*>(&head), sizeof(head)) + content);
}

std::string message(unsigned short type, const std::string& attributes) {
    nlmsghdr head{};
    head.nlmsg_type = type;
    head.nlmsg_len =
        static_cast<unsigned>(sizeof(nlmsghdr) + sizeof(ifinfomsg) + attributes.size());
    return std::string(reinterpret_cast<const char*>(&head), sizeof(head)) +
           std::string(sizeof(ifinfomsg), '\0') + attributes;
}

std::vector<LinkFacts> parse(std::string_view bytes) {
    return parse_links(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

std::string two_links() {
    const std::string mac("\x00\x0d\x61\x44\x90\x12", 6);
    const std::string names =
        attribute(IFLA_ALT_IFNAME, std::string("enp2s0", 7)) + attribute(IFLA_ALT_IFNAME, "lan");
    const std::string vlan =
        attribute(IFLA_INFO_DATA, attribute(IFLA_VLAN_ID, std::string("\x05\0", 2))) +
        attribute(IFLA_INFO_KIND, "vlan");
    return message(RTM_NEWLINK, attribute(IFLA_IFNAME, std::string("eth0", 5)) +
                                    attribute(IFLA_PERM_ADDRESS, mac) +
                                    attribute(IFLA_PROP_LIST | NLA_F_NESTED, names)) +
           message(RTM_NEWLINK,
                   attribute(IFLA_IFNAME, "bond0.5") + attribute(IFLA_LINKINFO, vlan)) +
           message(NLMSG_DONE, "");
}

} // namespace

TEST_CASE("interfaces are read from the kernel's answer") {
    CHECK(parse(two_links()) ==
          std::vector<LinkFacts>{
              {.name = "eth0", .permanent_mac = "00:0d:61:44:90:12", .altnames = {"enp2s0", "lan"}},
              {.name = "bond0.5", .kind = "vlan", .vlan_id = 5}});
}

TEST_CASE("an answer that is cut or has a wrong length is read as far as it is one") {
    const std::string whole = two_links();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        CAPTURE(length);
        CHECK(parse(std::string_view(whole).substr(0, length)).size() <= 2);
        std::string wrong = whole;
        wrong[length] = '\xff';
        CHECK(parse(wrong).size() <= 2);
    }
}

TEST_CASE("the loopback interface answers") {
    const std::vector<LinkFacts> links = read_links();
    const auto found = std::ranges::find(links, "lo", &LinkFacts::name);
    REQUIRE(found != links.end());
    CHECK(found->permanent_mac.empty());
}

} // namespace coldspare::clone
