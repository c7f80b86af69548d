#pragma once

#include "base/inventory.hpp"

#include <string>
#include <vector>

/// A first file for a standby, written from what is known of its server.
namespace coldspare::standby {

struct StandbyTextOptions {
    std::string name;                             ///< is_standby_name()
    std::string connect = {};                     ///< "HOST:PORT"; empty: the server's name
    std::string image_directory = "/srv/standby"; ///< absolute: where the copies will lie
};

/// The file, with comments that say what was found and what a person has to look at.
/// parse_standby_file() takes it, whatever the inventory says: what could not stand in the file is
/// named in a comment, or has a default. The inventory is as parse_inventory() gives it. Pure.
/// Throws Error (usage) if an option cannot be.
[[nodiscard]] std::string standby_text(const Inventory& server, const StandbyTextOptions& options);

/// The services among those that start at boot which answer users or write what users gave: a first
/// guess at what a standby holds.
[[nodiscard]] std::vector<std::string> services_to_hold(const Inventory& server);

} // namespace coldspare::standby
