#include "standby/domain_xml.hpp"

#include "base/error.hpp"
#include "standby/domain_parts.hpp"
#include "standby/name_uuid.hpp"

#include <fmt/format.h>

#include <cassert>
#include <iterator>

namespace coldspare::standby {

namespace domain {

std::string bus_of(const DomainInput& input) {
    const std::string& wanted = input.standby.machine.disk_bus;
    const std::string& bus = wanted.empty() ? input.needs.disk_bus : wanted;
    return bus.empty() ? "virtio" : bus;
}

std::string machine_of(const DomainInput& input) {
    if (bus_of(input) == "ide" || input.needs.machine == "pc") {
        return "pc";
    }
    return input.needs.machine == "virt" ? "virt" : "q35";
}

bool is_x86(const DomainInput& input) {
    return machine_of(input) != "virt";
}

XmlElement slot_element(unsigned slot) {
    return {.name = "address",
            .attributes = {{"type", "pci"},
                           {"domain", "0x0000"},
                           {"bus", "0x00"},
                           {"slot", fmt::format("{:#04x}", slot)},
                           {"function", "0x0"}}};
}

} // namespace domain

namespace {

using domain::is_x86;

XmlElement leaf(std::string name, std::string text) {
    return {.name = std::move(name), .text = std::move(text)};
}

XmlElement memory_element(std::string name, std::uint64_t bytes) {
    return {.name = std::move(name),
            .attributes = {{"unit", "KiB"}},
            .text = std::to_string(bytes / 1024 + (bytes % 1024 == 0 ? 0 : 1))};
}

std::string server_of(const StandbyFile& standby) {
    return standby.source.host.empty() ? standby.name : standby.source.host;
}

/// What a person reads in virsh or virt-manager before they press the button.
std::vector<XmlElement> words_for_people(const DomainInput& input, const DrillInput* drill) {
    const StandbyFile& standby = input.standby;
    const std::string server = server_of(standby);
    if (drill != nullptr) {
        return {leaf("title", fmt::format("coldspare: drill of {}", standby.name)),
                leaf("description",
                     fmt::format("A run of the copy of {} on a snapshot: what it writes is thrown "
                                 "away, and it cannot reach any network but its own. coldspare "
                                 "takes it away when the drill has ended.",
                                 server))};
    }
    return {leaf("title", fmt::format("coldspare: cold standby of {}, do not start", server)),
            leaf("description",
                 fmt::format("The switched-off copy of {0}, kept by coldspare. Do not start it by "
                             "hand: it has the names, the addresses and the volumes of {0}, and "
                             "the two must never run at the same time. 'coldspare drill {1}' tries "
                             "it out safely; 'coldspare status {1}' says how old it is.",
                             server, standby.name))};
}

XmlElement os_element(const DomainInput& input, const DrillInput* drill) {
    const StandbyFile& standby = input.standby;
    XmlElement type{.name = "type", .text = "hvm"};
    if (is_x86(input)) {
        type.attributes.push_back({"arch", "x86_64"});
    }
    type.attributes.push_back({"machine", domain::machine_of(input)});
    XmlElement os{.name = "os", .children = {std::move(type)}};
    const std::string& firmware =
        standby.machine.firmware.empty() ? input.needs.firmware : standby.machine.firmware;
    if (firmware != "uefi") {
        return os;
    }
    if (input.firmware_code.empty() || input.firmware_variables.empty()) {
        throw usage_error(
            fmt::format("the standby '{}' starts by UEFI, and the hypervisor has no firmware "
                        "for that",
                        standby.name),
            "install OVMF there (Debian: 'apt install ovmf')");
    }
    os.children.push_back(
        {.name = "loader",
         // The keys that the server's firmware knows are not cloned.
         .attributes = {{"readonly", "yes"}, {"secure", "no"}, {"type", "pflash"}},
         .text = input.firmware_code});
    os.children.push_back(
        {.name = "nvram",
         .attributes = {{"template", input.firmware_variables}},
         .text = drill == nullptr ? input.variables_path : drill->variables_path});
    return os;
}

XmlElement features_element(const DomainInput& input) {
    XmlElement features{.name = "features", .children = {{.name = "acpi"}}};
    if (is_x86(input)) {
        features.children.push_back({.name = "apic"});
        features.children.push_back({.name = "vmport", .attributes = {{"state", "off"}}});
    }
    return features;
}

XmlElement cpu_element(const DomainInput& input) {
    const std::string cores = std::to_string(input.standby.machine.cpus);
    XmlElement topology{
        .name = "topology",
        .attributes = {{"sockets", "1"}, {"dies", "1"}, {"cores", cores}, {"threads", "1"}}};
    XmlElement cpu{.name = "cpu"};
    if (input.kvm) {
        cpu.attributes = {{"mode", "host-passthrough"}, {"check", "none"}};
    } else if (!is_x86(input) || input.needs.cpu.starts_with("x86-64-v")) {
        cpu.attributes = {{"mode", "maximum"}, {"check", "none"}};
    } else {
        cpu.attributes = {{"mode", "custom"}, {"match", "exact"}, {"check", "none"}};
        cpu.children.push_back(
            {.name = "model", .attributes = {{"fallback", "forbid"}}, .text = "qemu64"});
    }
    cpu.children.push_back(std::move(topology));
    if (cpu.attribute("mode") == "custom") {
        // Else the guest loads its own KVM, which takes time and is of no use.
        cpu.children.push_back(
            {.name = "feature", .attributes = {{"policy", "disable"}, {"name", "svm"}}});
    }
    return cpu;
}

/// UTC as in a server. With KVM, lost ticks are made up for: kernels of its age count them.
XmlElement clock_element(const DomainInput& input) {
    XmlElement clock{.name = "clock", .attributes = {{"offset", "utc"}}};
    if (!is_x86(input)) {
        return clock;
    }
    if (input.kvm) {
        clock.children.push_back(
            {.name = "timer", .attributes = {{"name", "rtc"}, {"tickpolicy", "catchup"}}});
        clock.children.push_back(
            {.name = "timer", .attributes = {{"name", "pit"}, {"tickpolicy", "delay"}}});
    }
    clock.children.push_back(
        {.name = "timer", .attributes = {{"name", "hpet"}, {"present", "no"}}});
    return clock;
}

XmlElement unix_source(const std::string& path) {
    return {.name = "source", .attributes = {{"mode", "bind"}, {"path", path}}};
}

std::vector<XmlElement> lines_to_the_guest(const DrillInput* drill) {
    XmlElement serial{.name = "serial",
                      .attributes = {{"type", drill == nullptr ? "pty" : "unix"}}};
    XmlElement agent{.name = "channel", .attributes = {{"type", "unix"}}};
    if (drill != nullptr) {
        serial.children.push_back(unix_source(drill->console_socket));
        serial.children.push_back(
            {.name = "log", .attributes = {{"file", drill->console_log}, {"append", "off"}}});
        agent.children.push_back(unix_source(drill->agent_socket));
    }
    serial.children.push_back({.name = "target", .attributes = {{"port", "0"}}});
    agent.children.push_back(
        {.name = "target", .attributes = {{"type", "virtio"}, {"name", "org.qemu.guest_agent.0"}}});
    return {std::move(serial), std::move(agent)};
}

XmlElement display_element(const DomainInput& input) {
    XmlElement model{.name = "model", .attributes = {{"type", "virtio"}}};
    if (is_x86(input)) {
        model.attributes = {{"type", "vga"}, {"vram", "16384"}};
    }
    return {.name = "video",
            .children = {std::move(model), domain::slot_element(domain::slot_of_display)}};
}

void move_to(std::vector<XmlElement>& list, std::vector<XmlElement> more) {
    list.insert(list.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
}

XmlElement devices_element(const DomainInput& input, const DrillInput* drill) {
    XmlElement devices{.name = "devices"};
    std::vector<XmlElement>& list = devices.children;
    move_to(list, domain::disk_elements(input, drill));
    list.push_back({.name = "controller", .attributes = {{"type", "usb"}, {"model", "none"}}});
    list.push_back({.name = "controller",
                    .attributes = {{"type", "virtio-serial"}, {"index", "0"}},
                    .children = {domain::slot_element(domain::slot_of_channels)}});
    move_to(list, domain::nic_elements(input, drill));
    move_to(list, lines_to_the_guest(drill));
    list.push_back(display_element(input));
    list.push_back({.name = "memballoon", .attributes = {{"model", "none"}}});
    list.push_back(
        {.name = "rng",
         .attributes = {{"model", "virtio"}},
         .children = {
             {.name = "backend", .attributes = {{"model", "random"}}, .text = "/dev/urandom"},
             domain::slot_element(domain::slot_of_random)}});
    if (is_x86(input)) {
        list.push_back({.name = "panic", .attributes = {{"model", "isa"}}});
    }
    return devices;
}

XmlElement pm_element() {
    return {.name = "pm",
            .children = {{.name = "suspend-to-mem", .attributes = {{"enabled", "no"}}},
                         {.name = "suspend-to-disk", .attributes = {{"enabled", "no"}}}}};
}

XmlElement command_line_element(const std::vector<std::string>& arguments) {
    XmlElement line{.name = "qemu:commandline"};
    for (const std::string& argument : arguments) {
        line.children.push_back({.name = "qemu:arg", .attributes = {{"value", argument}}});
    }
    return line;
}

XmlElement machine_element(const DomainInput& input, const DrillInput* drill) {
    const StandbyFile& standby = input.standby;
    XmlElement root{.name = "domain", .attributes = {{"type", input.kvm ? "kvm" : "qemu"}}};
    std::vector<XmlElement>& list = root.children;
    list.push_back(leaf("name", drill == nullptr ? standby.machine.domain : drill->domain));
    list.push_back(leaf("uuid", drill == nullptr ? domain_uuid(standby) : drill->uuid));
    move_to(list, words_for_people(input, drill));
    list.push_back(metadata_of(
        {.standby = standby.name, .kind = drill == nullptr ? "cold" : "drill"}, input.version));
    list.push_back(memory_element("memory", standby.machine.memory));
    list.push_back(memory_element("currentMemory", standby.machine.memory));
    list.push_back(leaf("vcpu", std::to_string(standby.machine.cpus)));
    list.push_back(os_element(input, drill));
    list.push_back(features_element(input));
    list.push_back(cpu_element(input));
    list.push_back(clock_element(input));
    list.push_back(leaf("on_poweroff", "destroy"));
    list.push_back(leaf("on_reboot", "restart"));
    list.push_back(leaf("on_crash", drill == nullptr ? "restart" : "preserve"));
    if (is_x86(input)) {
        list.push_back(pm_element());
    }
    list.push_back(devices_element(input, drill));
    if (drill != nullptr) {
        root.attributes.push_back({"xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0"});
        list.push_back(command_line_element(domain::qemu_arguments(input, *drill)));
    }
    return root;
}

/// The part of a UUID's name that tells this standby from others.
std::string identity_of(const StandbyFile& standby) {
    const std::vector<NicSettings>& nics = standby.machine.nics;
    return fmt::format("{}/{}", standby.name, nics.empty() ? "" : nics.front().mac);
}

} // namespace

std::string domain_xml(const DomainInput& input) {
    return write_xml(machine_element(input, nullptr));
}

std::string drill_domain_xml(const DomainInput& input, const DrillInput& drill) {
    assert(drill.overlays.size() == input.disks.size());
    return write_xml(machine_element(input, &drill));
}

std::string domain_uuid(const StandbyFile& standby) {
    return name_uuid(fmt::format("domain/{}", identity_of(standby)));
}

std::string drill_uuid(const StandbyFile& standby) {
    return name_uuid(fmt::format("drill/{}", identity_of(standby)));
}

} // namespace coldspare::standby
