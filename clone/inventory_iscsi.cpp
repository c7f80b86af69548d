// The sessions of open-iscsi and of adapters, as the kernel shows them: a session has the names,
// its connections the addresses, and its disks lie below its directory among the devices:
//
//     /sys/class/iscsi_session/session1        -> .../host2/session1/iscsi_session/session1
//     /sys/class/iscsi_connection/connection1:0
//     /sys/block/sdb                           -> .../host2/session1/target2:0:0/2:0:0:1/block/sdb
#include "clone/inventory_parts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::clone::inventory {

namespace fs = std::filesystem;

namespace {

/// The kernel writes "(null)" where it has no text.
std::string text_in(const fs::path& file) {
    std::string text = sysfs::attribute(file);
    return text == "(null)" ? std::string() : text;
}

/// "192.0.2.50:3260", "[fd00::1]:3260".
std::string portal_of(const std::string& address, const std::string& port) {
    if (address.empty() || port.empty()) {
        return {};
    }
    const bool brackets = address.find(':') != std::string::npos && !address.starts_with('[');
    return brackets ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

bool lies_below(const fs::path& device, const std::string& session) {
    return std::ranges::find(device, fs::path(session)) != device.end();
}

std::vector<std::string> disks_of(const fs::path& sys, const std::string& session) {
    std::vector<std::string> disks;
    for (const std::string& name : names_in(sys / "block")) {
        std::error_code none;
        const fs::path device = fs::canonical(sys / "block" / name, none);
        if (!none && lies_below(device, session)) {
            disks.push_back("/dev/" + name);
        }
    }
    return disks;
}

/// The first connection of "session1" is "connection1:0".
fs::path connection_of(const fs::path& sys, const std::string& session) {
    constexpr std::string_view prefix = "session";
    const std::string wanted = fmt::format("connection{}:", session.substr(prefix.size()));
    const fs::path directory = sys / "class/iscsi_connection";
    const std::vector<std::string> names = names_in(directory);
    const auto found = std::ranges::find_if(
        names, [&wanted](const std::string& name) { return name.starts_with(wanted); });
    return found == names.end() ? fs::path() : directory / *found;
}

} // namespace

void add_iscsi(const MachineSources& machine, Inventory& all) {
    const fs::path& sys = machine.kernel.sys;
    for (const std::string& name : names_in(sys / "class/iscsi_session")) {
        const fs::path directory = sys / "class/iscsi_session" / name;
        const std::string target = text_in(directory / "targetname");
        if (target.empty() || !name.starts_with("session")) {
            continue;
        }
        const fs::path connection = connection_of(sys, name);
        const std::string now =
            portal_of(text_in(connection / "address"), text_in(connection / "port"));
        const std::string configured = portal_of(text_in(connection / "persistent_address"),
                                                 text_in(connection / "persistent_port"));
        all.iscsi_sessions.push_back({.target = target,
                                      .portal = configured.empty() ? now : configured,
                                      .address = now,
                                      .initiator = text_in(directory / "initiatorname"),
                                      .disks = disks_of(sys, name)});
    }
}

} // namespace coldspare::clone::inventory
