#include "base/text.hpp"
#include "clone/inventory_parts.hpp"

#include <algorithm>
#include <charconv>
#include <map>

namespace coldspare::clone::inventory {

namespace fs = std::filesystem;

namespace {

constexpr unsigned fastest = 10'000'000; // Mbit/s; more is what old kernels say for "not known"

/// The permanent address of each port, by its name, from /proc/net/bonding/BOND:
///
///     Slave Interface: eth0
///     ...
///     Permanent HW addr: 00:0d:61:44:90:12
std::map<std::string, std::string> macs_of_ports(const fs::path& proc) {
    std::map<std::string, std::string> macs;
    for (const std::string& bond : names_in(proc / "net/bonding")) {
        const std::string text = content_of(proc / "net/bonding" / bond);
        std::string port;
        for (const std::string_view line : split_lines(text)) {
            const std::size_t colon = line.find(": ");
            if (colon == std::string_view::npos) {
                continue;
            }
            const std::string_view key = trim(line.substr(0, colon));
            const std::string_view value = trim(line.substr(colon + 2));
            if (key == "Slave Interface") {
                port = value;
            } else if (key == "Permanent HW addr" && !port.empty()) {
                macs[port] = normal_mac(value);
            }
        }
    }
    return macs;
}

/// "bond", "vlan" and so on, from the words of the kernel before it knew a kind.
std::string kind_in_sysfs(const fs::path& directory, const fs::path& proc) {
    std::error_code none;
    const std::string uevent = content_of(directory / "uevent");
    for (const std::string_view line : split_lines(uevent)) {
        if (line.starts_with("DEVTYPE=")) {
            return std::string(trim(line.substr(8)));
        }
    }
    if (fs::exists(directory / "bonding", none)) {
        return "bond";
    }
    if (fs::exists(directory / "bridge", none)) {
        return "bridge";
    }
    return fs::exists(proc / "net/vlan" / directory.filename(), none) ? "vlan" : "";
}

NicKind kind_of(const std::string& word, const fs::path& directory) {
    std::error_code none;
    if (word == "bond" || word == "team") {
        return NicKind::bond;
    }
    if (word == "bridge") {
        return NicKind::bridge;
    }
    if (word == "vlan") {
        return NicKind::vlan;
    }
    return fs::exists(directory / "device", none) ? NicKind::physical : NicKind::other;
}

std::string link_name(const fs::path& link) {
    std::error_code none;
    return printable(fs::read_symlink(link, none).filename().string());
}

/// What stands above a virtio device is the card.
std::string bus_address_of(const fs::path& directory) {
    std::error_code none;
    const fs::path device = fs::canonical(directory / "device", none);
    if (none) {
        return {};
    }
    const bool virtio = device.filename().string().starts_with("virtio");
    const fs::path card = virtio ? device.parent_path() : device;
    return printable(card.filename().string());
}

std::string lower_of(const fs::path& directory) {
    constexpr std::string_view prefix = "lower_";
    for (const std::string& name : names_in(directory)) {
        if (name.starts_with(prefix)) {
            return name.substr(prefix.size());
        }
    }
    return {};
}

/// "VID: 5" and "Device: bond0" in /proc/net/vlan/NAME.
void read_vlan(const fs::path& file, NicFacts& nic) {
    const std::string text = content_of(file);
    if (const std::size_t at = text.find("VID: "); at != std::string::npos && nic.vlan_id == 0) {
        std::from_chars(text.data() + at + 5, text.data() + text.size(), nic.vlan_id);
    }
    if (const std::size_t at = text.find("Device: "); at != std::string::npos) {
        const std::string_view rest = std::string_view(text).substr(at + 8);
        nic.lower = trim(rest.substr(0, rest.find('\n')));
    }
}

bool is_up(const fs::path& directory) {
    const std::string flags = sysfs::attribute(directory / "flags"); // "0x1003"
    unsigned bits = 0;
    if (flags.starts_with("0x")) {
        std::from_chars(flags.data() + 2, flags.data() + flags.size(), bits, 16);
    }
    constexpr unsigned up = 1; // IFF_UP
    return (bits & up) != 0;
}

NicFacts describe(const fs::path& directory, const LinkFacts& link, const fs::path& proc) {
    const std::string word = link.kind.empty() ? kind_in_sysfs(directory, proc) : link.kind;
    const std::uint64_t speed = sysfs::number_at(directory / "speed");
    NicFacts nic{.name = directory.filename().string(),
                 .permanent_mac = link.permanent_mac,
                 .mac = normal_mac(sysfs::attribute(directory / "address")),
                 .kind = kind_of(word, directory),
                 .driver = link_name(directory / "device/driver"),
                 .bus_address = bus_address_of(directory),
                 .master = link_name(directory / "master"),
                 .vlan_id = link.vlan_id,
                 .altnames = link.altnames,
                 .name_assign_type =
                     static_cast<unsigned>(sysfs::number_at(directory / "name_assign_type")),
                 .speed = speed <= fastest ? static_cast<unsigned>(speed) : 0,
                 .up = is_up(directory),
                 .addresses = link.addresses};
    if (nic.kind == NicKind::vlan) {
        nic.lower = lower_of(directory);
        read_vlan(proc / "net/vlan" / nic.name, nic);
    }
    return nic;
}

} // namespace

void add_nics(const MachineSources& machine, Inventory& all) {
    const fs::path directory = machine.kernel.sys / "class/net";
    const std::map<std::string, std::string> of_ports = macs_of_ports(machine.kernel.proc);
    for (const std::string& name : names_in(directory)) {
        std::error_code none;
        if (name == "lo" || !fs::is_directory(directory / name, none)) {
            continue; // bonding_masters is a file.
        }
        const auto link = std::ranges::find(machine.links, name, &LinkFacts::name);
        NicFacts nic = describe(directory / name, link == machine.links.end() ? LinkFacts() : *link,
                                machine.kernel.proc);
        if (nic.kind != NicKind::physical && nic.kind != NicKind::other) {
            nic.permanent_mac.clear();
        } else if (const auto port = of_ports.find(name);
                   port != of_ports.end() && nic.permanent_mac.empty()) {
            nic.permanent_mac = port->second;
        }
        // 0: the kernel has it from the card. A port of a bond says so too, with the bond's.
        const std::uint64_t given = sysfs::number_at(directory / name / "addr_assign_type");
        if (nic.permanent_mac.empty() && nic.kind == NicKind::physical && given == 0 &&
            !fs::exists(directory / name / "master/bonding", none)) {
            nic.permanent_mac = nic.mac;
        }
        all.nics.push_back(std::move(nic));
    }
}

} // namespace coldspare::clone::inventory
