#pragma once

#include "base/inventory.hpp"
#include "clone/disk_list.hpp"
#include "clone/inventory_links.hpp"
#include "clone/sysfs.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The inventory of a running machine (base/inventory.hpp): from the trees that the kernel shows,
/// from files below /etc, /usr and /run, and from what was asked before. No program is run.
namespace coldspare::clone {

/// What an inventory is made of. Tests have trees and answers of their own.
struct MachineSources {
    sysfs::Roots kernel;
    std::filesystem::path root = "/"; ///< the system's own tree
    std::string architecture;         ///< as uname(2) names it
    std::vector<LinkFacts> links;
    std::vector<DiskEntry> disks;
};

/// Those of the machine that this runs on. Reads every disk's first blocks: a disk that is failing
/// may keep it waiting. Does not throw: what cannot be asked is missing.
[[nodiscard]] MachineSources this_machine();

/// Never fails: what is not there, or is odd, is empty in it.
[[nodiscard]] Inventory gather_inventory(const MachineSources& machine, std::string_view program);

/// Whether the bytes of a disk that is served are this machine's own: a block device that is more
/// than an image or an export under another name.
[[nodiscard]] bool is_of_this_machine(const std::filesystem::path& disk);

/// Whether the system that made the inventory runs from one of these disks (its "/" lies on it). If
/// not, it is another system than the one that is cloned: a live one, whose names and files are not
/// the server's.
[[nodiscard]] bool runs_from(const Inventory& inventory, std::span<const std::string> disks);

} // namespace coldspare::clone
