#include "base/error.hpp"
#include "base/inventory.hpp"
#include "base/text.hpp"
#include "standby/domain_parts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::standby::domain {

namespace {

constexpr std::size_t length_of_mac = 17;

bool is_word(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

/// What the file says; else what fixup found for the card of this name, or for any.
std::string model_of(const DomainInput& input, const NicSettings& nic) {
    if (is_word(nic.model)) {
        return nic.model;
    }
    const std::vector<fixup::VmNic>& cards = input.needs.nics;
    const auto found = std::ranges::find(cards, nic.name, &fixup::VmNic::name);
    const std::string model = found != cards.end() ? found->model
                              : cards.empty()      ? ""
                                                   : cards.front().model;
    if (is_word(model)) {
        return model;
    }
    return bus_of(input) == "virtio" ? "virtio" : "e1000";
}

/// It becomes a part of a list with commas.
const std::string& mac_of(const NicSettings& nic) {
    // Bit 0 of the first byte: a group of cards.
    const bool is_one = nic.mac.size() == length_of_mac && normal_mac(nic.mac) == nic.mac &&
                        std::string_view("02468ace").find(nic.mac[1]) != std::string_view::npos;
    if (!is_one) {
        throw usage_error(fmt::format("the card '{}' cannot have the MAC '{}'", printable(nic.name),
                                      printable(nic.mac)));
    }
    return nic.mac;
}

std::optional<unsigned> slot_of(std::size_t number) {
    const std::size_t slot = first_slot_of_nics + number;
    return slot < first_slot_of_disks ? std::optional(static_cast<unsigned>(slot)) : std::nullopt;
}

/// The network that it is in: type and source. A card in none is one without a cable.
void connect(XmlElement& interface, const NicSettings& nic, const DrillInput* drill) {
    if (drill != nullptr) {
        interface.attributes = {{"type", "network"}};
        interface.children.push_back(
            {.name = "source", .attributes = {{"network", drill->network}}});
    } else if (nic.way == NicWay::network || nic.way == NicWay::bridge) {
        const char* kind = nic.way == NicWay::network ? "network" : "bridge";
        interface.attributes = {{"type", kind}};
        interface.children.push_back({.name = "source", .attributes = {{kind, nic.network}}});
    } else {
        interface.attributes = {{"type", "user"}};
    }
}

/// qemu's name of the device.
std::string device_of(const std::string& model) {
    return model.starts_with("virtio") ? "virtio-net-pci" + model.substr(6) : model;
}

} // namespace

std::vector<XmlElement> nic_elements(const DomainInput& input, const DrillInput* drill) {
    std::vector<XmlElement> list;
    if (drill != nullptr && drill->network.empty()) {
        return list;
    }
    std::size_t number = 0;
    for (const NicSettings& nic : input.standby.machine.nics) {
        XmlElement interface { .name = "interface" };
        connect(interface, nic, drill);
        interface.children.push_back({.name = "mac", .attributes = {{"address", mac_of(nic)}}});
        interface.children.push_back(
            {.name = "model", .attributes = {{"type", model_of(input, nic)}}});
        if (nic.way == NicWay::none) {
            interface.children.push_back({.name = "link", .attributes = {{"state", "down"}}});
        }
        // It starts from its disks, and sooner without looking here.
        interface.children.push_back({.name = "rom", .attributes = {{"enabled", "no"}}});
        if (const std::optional<unsigned> slot = slot_of(number++)) {
            interface.children.push_back(slot_element(*slot));
        }
        list.push_back(std::move(interface));
    }
    return list;
}

std::vector<std::string> qemu_arguments(const DomainInput& input, const DrillInput& drill) {
    // libvirt insists that a UUID in <sysinfo> is the domain's own.
    std::vector<std::string> arguments{"-smbios",
                                       fmt::format("type=1,uuid={}", domain_uuid(input.standby))};
    if (!drill.network.empty()) {
        return arguments;
    }
    const std::string bus = machine_of(input) == "pc" ? "pci.0" : "pcie.0";
    std::size_t number = 0;
    for (const NicSettings& nic : input.standby.machine.nics) {
        const std::optional<unsigned> slot = slot_of(number);
        const std::string id = fmt::format("drill{}", number++);
        std::string device = fmt::format(
            "{},id=card-{},mac={},romfile=", device_of(model_of(input, nic)), id, mac_of(nic));
        if (nic.way != NicWay::none) {
            arguments.insert(arguments.end(),
                             {"-netdev", fmt::format("user,id={},restrict=on", id)});
            device += fmt::format(",netdev={}", id);
        }
        if (slot) {
            device += fmt::format(",bus={},addr={:#x}", bus, *slot);
        }
        arguments.insert(arguments.end(), {"-device", std::move(device)});
    }
    return arguments;
}

} // namespace coldspare::standby::domain
