#include "base/text.hpp"
#include "clone/inventory_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace coldspare::clone::inventory {

namespace fs = std::filesystem;

namespace {

using Links = std::map<std::string, std::vector<std::string>>;

/// The links of a directory below /dev/disk, by the kernel's name of the device.
Links links_in(const fs::path& directory) {
    Links links;
    for (const std::string& name : names_in(directory)) {
        std::error_code none;
        const std::string device = fs::read_symlink(directory / name, none).filename().string();
        if (!device.empty()) {
            links[device].push_back(printable(name));
        }
    }
    return links;
}

std::vector<std::string> links_to(const Links& links, const std::string& name) {
    const auto found = links.find(name);
    return found == links.end() ? std::vector<std::string>() : found->second;
}

/// By the kernel's name: what has no bytes of its own, or none that last.
bool is_passing(std::string_view name) {
    constexpr std::array<std::string_view, 6> passing{"loop", "zram", "ram", "nbd", "sr", "fd"};
    return std::ranges::any_of(passing,
                               [name](std::string_view each) { return name.starts_with(each); });
}

bool is_made_of_others(std::string_view name) {
    constexpr std::array<std::string_view, 3> made{"dm-", "md", "bcache"};
    return std::ranges::any_of(made,
                               [name](std::string_view each) { return name.starts_with(each); });
}

/// What the kernel tells of the disks, also of those that cannot be read.
void add_hardware(const MachineSources& machine, Inventory& all) {
    const Links by_id = links_in(machine.kernel.dev / "disk/by-id");
    const Links by_path = links_in(machine.kernel.dev / "disk/by-path");
    for (const std::string& name : names_in(machine.kernel.sys / "block")) {
        constexpr std::uint64_t unit = 512; // of "size", whatever the disk's sectors
        const fs::path directory = machine.kernel.sys / "block" / name;
        const std::uint64_t size = sysfs::number_at(directory / "size") * unit;
        const std::optional<dev_t> device = sysfs::device_at(directory);
        if (is_passing(name) || is_made_of_others(name) || size == 0 || !device) {
            continue;
        }
        const sysfs::Identity identity = sysfs::identity_of(*device, machine.kernel);
        all.disks.push_back({.name = "/dev/" + name,
                             .size = size,
                             .logical_sector = static_cast<std::uint32_t>(
                                 sysfs::number_at(directory / "queue/logical_block_size")),
                             .model = identity.model,
                             .serial = identity.serial,
                             .wwn = identity.wwn,
                             .by_id = links_to(by_id, name),
                             .by_path = links_to(by_path, name)});
    }
}

void add_content(const std::string& device, const Content& content, const std::string& partuuid,
                 Inventory& all) {
    if (!content.type.empty() || !partuuid.empty()) {
        all.file_systems.push_back({.device = device,
                                    .type = content.type,
                                    .uuid = content.uuid,
                                    .label = content.label,
                                    .partuuid = partuuid});
    }
}

std::vector<MappedDevice> mapped_devices(const fs::path& sys) {
    std::vector<MappedDevice> found;
    for (const std::string& node : names_in(sys / "block")) {
        const fs::path device = sys / "block" / node;
        MappedDevice mapped{.name = sysfs::attribute(device / "dm/name"),
                            .uuid = sysfs::attribute(device / "dm/uuid"),
                            .below = names_in(device / "slaves")};
        if (!mapped.name.empty()) {
            found.push_back(std::move(mapped));
        }
    }
    return found;
}

} // namespace

std::string partition_name(const std::string& disk, unsigned number) {
    const bool ends_in_digit = !disk.empty() && disk.back() >= '0' && disk.back() <= '9';
    return fmt::format("{}{}{}", disk, ends_in_digit ? "p" : "", number);
}

void add_disks(const MachineSources& machine, Inventory& all) {
    add_hardware(machine, all);
    for (const DiskEntry& disk : machine.disks) {
        const DiskFacts& facts = disk.facts;
        if (is_passing(fs::path(facts.name).filename().string())) {
            continue;
        }
        const std::string& map = disk.hardware.map_name;
        add_content(map.empty() ? facts.name : "/dev/mapper/" + map, disk.content, {}, all);
        for (const PartitionEntry& partition : disk.partitions) {
            if (!partition.extended) {
                add_content(partition_name(facts.name, partition.number), partition.content,
                            partition.uuid, all);
            }
        }
    }
    all.mapped = mapped_devices(machine.kernel.sys);
    all.mdstat = content_of(machine.kernel.proc / "mdstat");
    all.multipath_bindings = content_of(machine.root / "etc/multipath/bindings");
}

} // namespace coldspare::clone::inventory
