#include "clone/gather_inventory.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/inventory_parts.hpp"
#include "clone/nbd_uri.hpp"

#include <algorithm>
#include <sys/stat.h>
#include <sys/utsname.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace inventory {

std::string content_of(const fs::path& file, std::size_t limit) {
    try {
        std::error_code none;
        // A named pipe would wait for its writer.
        return fs::is_regular_file(file, none) ? read_file(file, limit) : std::string();
    } catch (const Error&) {
        return {};
    }
}

std::vector<std::string> names_in(const fs::path& directory) {
    std::vector<std::string> names;
    std::error_code failed;
    for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end;
         entry.increment(failed)) {
        names.push_back(entry->path().filename().string());
    }
    std::ranges::sort(names);
    return names;
}

} // namespace inventory

MachineSources this_machine() {
    MachineSources machine{.links = read_links()};
    if (utsname names{}; ::uname(&names) == 0) {
        machine.architecture = names.machine;
    }
    try {
        machine.disks = list_disks();
    } catch (const std::exception&) {
        // All else can be told without them.
    }
    return machine;
}

Inventory gather_inventory(const MachineSources& machine, std::string_view program) {
    Inventory all{.created = utc_timestamp(), .program = std::string(program)};
    inventory::add_system(machine, all);
    inventory::add_nics(machine, all);
    inventory::add_disks(machine, all);
    inventory::add_iscsi(machine, all);
    inventory::add_boot(machine, all);
    return all;
}

bool runs_from(const Inventory& inventory, std::span<const std::string> disks) {
    return std::ranges::any_of(disks, [&inventory](const std::string& disk) {
        std::error_code none;
        const fs::path real = fs::canonical(disk, none);
        return std::ranges::find(inventory.root_disks, none ? disk : real.string()) !=
               inventory.root_disks.end();
    });
}

bool is_of_this_machine(const fs::path& disk) {
    struct stat status {};
    if (is_nbd_uri(disk) || ::stat(disk.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) {
        return false;
    }
    const std::string bus = sysfs::hardware_of(status.st_rdev).bus;
    return bus != "loop" && bus != "nbd";
}

} // namespace coldspare::clone
