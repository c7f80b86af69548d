#pragma once

#include "base/inventory.hpp"
#include "standby/standby_file.hpp"

#include <string>
#include <string_view>
#include <vector>

/// What of a server's storage is cloned and what the standby takes over: a guess from an inventory,
/// for a person to look over. Pure functions; the inventory is as parse_inventory() gives it.
namespace coldspare::standby {

/// A line of fstab.
struct FstabEntry {
    std::string device; ///< as it stands there: "UUID=4fd2", "/dev/sda1"
    std::string point;  ///< with its blanks: "/srv/my mail"
    std::string type;
    std::vector<std::string> options;
};

/// What is no such line is left out.
[[nodiscard]] std::vector<FstabEntry> parse_fstab(std::string_view text);

struct ServerStorage {
    /// That hold the system: the one that it starts from, those with the root, those that fstab
    /// needs. "/dev/sda".
    std::vector<std::string> system_disks;
    std::vector<std::string> other_disks; ///< the rest of the inventory's
    /// File systems of fstab on iSCSI, or with "_netdev": a UUID and a WWID where they are known.
    std::vector<VolumeSettings> volumes;
    std::vector<std::string> network_mounts; ///< of file servers: "nas:/home at '/home'"
};

[[nodiscard]] ServerStorage storage_of(const Inventory& server);

} // namespace coldspare::standby
