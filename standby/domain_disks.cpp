#include "base/error.hpp"
#include "base/text.hpp"
#include "standby/domain_parts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::standby::domain {

namespace {

constexpr std::size_t longest_serial = 20; ///< of virtio and ATA
constexpr std::size_t places_of_ide = 4;

/// How disks hang on a bus.
struct Bus {
    std::string controller;     ///< "scsi", "sata", "ide"; empty: each disk is a PCI device
    std::string model;          ///< of the controller, or empty
    std::size_t places = 1;     ///< at each controller
    bool is_in_chipset = false; ///< the first controller
};

Bus bus_facts(const DomainInput& input) {
    const std::string bus = bus_of(input);
    if (bus == "ide") {
        return {.controller = "ide", .places = places_of_ide, .is_in_chipset = true};
    }
    if (bus == "sata") {
        return {.controller = "sata", .places = 6, .is_in_chipset = machine_of(input) == "q35"};
    }
    if (bus != "scsi") {
        return {};
    }
    // The model is fixup's, who knows the drivers, unless the bus was not.
    const std::string& model = input.needs.disk_bus == "scsi" ? input.needs.disk_model : "";
    if (model == "lsilogic") {
        return {.controller = "scsi", .model = model, .places = 7};
    }
    if (model == "lsisas1068") {
        return {.controller = "scsi", .model = model, .places = 8};
    }
    return {.controller = "scsi", .model = "virtio-scsi", .places = 256};
}

/// "vda", "sdb", "hdc", "vdaa": only libvirt calls it so, but people look for it.
std::string target_name(const std::string& bus, std::size_t number) {
    std::string letters;
    for (std::size_t rest = number + 1; rest > 0; rest = (rest - 1) / 26) {
        letters.insert(letters.begin(), static_cast<char>('a' + (rest - 1) % 26));
    }
    return (bus == "virtio" ? "vd" : bus == "ide" ? "hd" : "sd") + letters;
}

/// The server's name for the disk, if it can be one: then lsblk in the guest shows which is which.
std::string serial_of(const StandbyFile& standby, std::size_t number) {
    const std::vector<DiskSettings>& disks = standby.machine.disks;
    const std::string source = number < disks.size() ? disks[number].source : "";
    const bool fits = !source.empty() && source.size() <= longest_serial &&
                      std::ranges::all_of(source, [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                 (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
                      });
    return fits ? source : fmt::format("disk{}", number + 1);
}

XmlElement driver_element(const DomainInput& input, const DomainInput::Disk& disk,
                          const DrillInput* drill) {
    XmlElement driver{.name = "driver", .attributes = {{"name", "qemu"}}};
    if (drill != nullptr) {
        // Nobody needs it after a crash of the host.
        driver.attributes.insert(driver.attributes.end(), {{"type", "qcow2"}, {"cache", "unsafe"}});
    } else if (disk.device || input.standby.machine.lease) {
        driver.attributes.insert(driver.attributes.end(),
                                 {{"type", disk.format}, {"cache", "none"}});
        if (disk.device) {
            driver.attributes.push_back({"io", "native"});
        }
    } else {
        driver.attributes.insert(driver.attributes.end(),
                                 {{"type", disk.format}, {"cache", "writeback"}});
    }
    driver.attributes.push_back({"discard", "unmap"});
    return driver;
}

XmlElement source_element(const DomainInput::Disk& disk, const std::string* overlay) {
    if (overlay != nullptr) {
        return {.name = "source", .attributes = {{"file", *overlay}}};
    }
    return {.name = "source", .attributes = {{disk.device ? "dev" : "file", disk.path}}};
}

/// Where it hangs: ATA counts units of a bus, SCSI targets; LSI's old one has its targets in
/// `unit`.
XmlElement place_element(const Bus& bus, std::size_t number) {
    const std::size_t place = number % bus.places;
    const bool by_target = bus.controller == "scsi" && bus.model != "lsilogic";
    const bool two_a_bus = bus.controller == "ide";
    return {.name = "address",
            .attributes = {{"type", "drive"},
                           {"controller", std::to_string(number / bus.places)},
                           {"bus", std::to_string(two_a_bus ? place / 2 : 0)},
                           {"target", std::to_string(by_target ? place : 0)},
                           {"unit", std::to_string(by_target   ? 0
                                                   : two_a_bus ? place % 2
                                                               : place)}}};
}

/// The disk that the machine starts from is first, and the others follow in their order.
std::size_t boot_order(const DomainInput& input, std::size_t number) {
    const std::size_t first =
        input.needs.boot_disk < input.disks.size() ? input.needs.boot_disk : 0;
    if (number == first) {
        return 1;
    }
    return number < first ? number + 2 : number + 1;
}

std::vector<XmlElement> controller_elements(const DomainInput& input, const Bus& bus) {
    std::vector<XmlElement> list;
    const std::size_t count = (input.disks.size() + bus.places - 1) / bus.places;
    unsigned slot = first_slot_of_disks;
    for (std::size_t i = bus.is_in_chipset ? 1 : 0; i < count; ++i) {
        XmlElement controller{
            .name = "controller",
            .attributes = {{"type", bus.controller}, {"index", std::to_string(i)}}};
        if (!bus.model.empty()) {
            controller.attributes.push_back({"model", bus.model});
        }
        if (slot < end_of_slots) {
            controller.children.push_back(slot_element(slot++));
        }
        list.push_back(std::move(controller));
    }
    return list;
}

} // namespace

std::vector<XmlElement> disk_elements(const DomainInput& input, const DrillInput* drill) {
    const Bus bus = bus_facts(input);
    if (bus.controller == "ide" && input.disks.size() > places_of_ide) {
        throw usage_error(fmt::format("the standby '{}' has {} disks; an IDE controller takes {}",
                                      input.standby.name, input.disks.size(), places_of_ide),
                          "disk_bus = \"sata\" has room for more, if the copy has its driver");
    }
    std::vector<XmlElement> list;
    if (!bus.controller.empty()) {
        list = controller_elements(input, bus);
    }
    for (std::size_t i = 0; i < input.disks.size(); ++i) {
        const DomainInput::Disk& disk = input.disks[i];
        const bool is_block = disk.device && drill == nullptr;
        XmlElement element{
            .name = "disk",
            .attributes = {{"type", is_block ? "block" : "file"}, {"device", "disk"}},
            .children = {
                driver_element(input, disk, drill),
                source_element(disk, drill == nullptr ? nullptr : &drill->overlays[i]),
                {.name = "target",
                 .attributes = {{"dev", target_name(bus_of(input), i)}, {"bus", bus_of(input)}}},
                {.name = "serial", .text = serial_of(input.standby, i)},
                {.name = "boot", .attributes = {{"order", std::to_string(boot_order(input, i))}}}}};
        const std::size_t slot = first_slot_of_disks + i;
        if (!bus.controller.empty()) {
            element.children.push_back(place_element(bus, i));
        } else if (slot < end_of_slots) {
            element.children.push_back(slot_element(static_cast<unsigned>(slot)));
        }
        list.push_back(std::move(element));
    }
    return list;
}

} // namespace coldspare::standby::domain
