// What the firmware is, and which disk it started from. That is told, from the surest to the least
// sure: by UEFI's variable BootCurrent and the load option that it names, by the BIOS's table of
// disks (EDD) as the kernel has kept it, and by what is mounted at /boot and at /.
#include "base/text.hpp"
#include "clone/inventory_parts.hpp"
#include "clone/little_endian.hpp"
#include "clone/mounts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace coldspare::clone::inventory {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view global = "8be4df61-93ca-11d2-aa0d-00e098032b8c"; // UEFI 2.10 3.3
constexpr std::size_t attributes = 4; // efivarfs puts them before the value
constexpr std::size_t longest_variable = 64 * 1024;

std::string variable(const fs::path& sys, std::string_view name) {
    return content_of(sys / "firmware/efi/efivars" / fmt::format("{}-{}", name, global),
                      longest_variable);
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

/// The disk that has a partition with this PARTUUID, or one that begins with it.
std::string disk_with(const MachineSources& machine, const std::string& start) {
    if (start.empty()) {
        return {};
    }
    std::string found;
    for (const DiskEntry& disk : machine.disks) {
        const bool has = std::ranges::any_of(disk.partitions, [&](const PartitionEntry& partition) {
            return lower(partition.uuid).starts_with(start);
        });
        if (has && !found.empty()) {
            return {}; // Two of the same: a clone is plugged in.
        }
        if (has) {
            found = disk.facts.name;
        }
    }
    return found;
}

std::string disk_by_efi(const MachineSources& machine) {
    const std::string current = variable(machine.kernel.sys, "BootCurrent");
    if (current.size() != attributes + 2) {
        return {};
    }
    const auto number = read_little_endian<std::uint16_t>(current, attributes);
    return disk_with(machine, partition_of_load_option(
                                  variable(machine.kernel.sys, fmt::format("Boot{:04X}", number))));
}

/// int13_dev80 is what the BIOS starts from; its signature is in the MBR, and in PARTUUIDs.
std::string disk_by_edd(const MachineSources& machine) {
    const std::string signature =
        sysfs::attribute(machine.kernel.sys / "firmware/edd/int13_dev80/mbr_signature");
    constexpr std::size_t digits = 8;
    if (!signature.starts_with("0x") || signature.size() != 2 + digits ||
        signature == "0x00000000") {
        return {};
    }
    return disk_with(machine, lower(signature.substr(2)) + "-");
}

/// The names of the disks that a device lies on, through partitions, LVM, crypt and md.
void add_disks_below(const fs::path& directory, std::vector<std::string>& disks, unsigned depth) {
    constexpr unsigned deepest = 16;
    std::error_code none;
    const fs::path real = fs::canonical(directory, none);
    if (none || depth > deepest) {
        return;
    }
    const bool is_partition = fs::exists(real / "partition", none);
    const std::vector<std::string> parts = names_in(real / "slaves");
    for (const std::string& part : parts) {
        add_disks_below(real / "slaves" / part, disks, depth + 1);
    }
    if (!parts.empty()) {
        return;
    }
    const std::string name =
        "/dev/" + (is_partition ? real.parent_path() : real).filename().string();
    if (std::ranges::find(disks, name) == disks.end()) {
        disks.push_back(name);
    }
}

/// The mount that lies on top at this place.
const Mount* mount_at(const std::vector<Mount>& mounts, std::string_view point) {
    const auto found = std::ranges::find(mounts.rbegin(), mounts.rend(), point, &Mount::point);
    return found == mounts.rend() ? nullptr : &*found;
}

/// /dev/mapper/NAME is a link to the node, and its number tells more. Of btrfs it is the reverse.
fs::path directory_of(const MachineSources& machine, const Mount& mount) {
    std::error_code none;
    fs::path by_number = machine.kernel.sys / "dev/block" / mount.device;
    return fs::exists(by_number, none)
               ? by_number
               : machine.kernel.sys / "class/block" / fs::path(mount.source).filename();
}

std::vector<std::string> disks_of(const MachineSources& machine, const Mount* mount) {
    std::vector<std::string> disks;
    if (mount != nullptr && mount->source.starts_with("/dev/")) {
        add_disks_below(directory_of(machine, *mount), disks, 0);
    }
    return disks;
}

/// The UUID of what is mounted, from what libblkid has told of each device.
std::string uuid_of(const MachineSources& machine, const Mount* mount, const Inventory& all) {
    if (mount == nullptr || !mount->source.starts_with("/dev/")) {
        return {};
    }
    std::error_code none;
    const fs::path directory = fs::canonical(directory_of(machine, *mount), none);
    const std::string map = sysfs::attribute(directory / "dm/name");
    const std::string name =
        map.empty() ? "/dev/" + directory.filename().string() : "/dev/mapper/" + map;
    const auto found = std::ranges::find(all.file_systems, name, &FileSystemFacts::device);
    return none || found == all.file_systems.end() ? std::string() : found->uuid;
}

} // namespace

std::string partition_of_load_option(std::string_view variable) {
    constexpr std::size_t path_length_at = attributes + 4;
    constexpr std::size_t description_at = path_length_at + 2;
    if (variable.size() < description_at) {
        return {};
    }
    const std::size_t length = read_little_endian<std::uint16_t>(variable, path_length_at);
    std::size_t at = description_at;
    while (at + 2 <= variable.size() && read_little_endian<std::uint16_t>(variable, at) != 0) {
        at += 2;
    }
    at += 2; // the NUL of the description
    const std::size_t end = std::min(variable.size(), at + length);
    while (at + 4 <= end) {
        const std::size_t size = read_little_endian<std::uint16_t>(variable, at + 2);
        if (size < 4 || at + size > end) {
            return {};
        }
        constexpr std::size_t hard_drive = 42; // type 4, sub-type 1
        if (variable[at] == 4 && variable[at + 1] == 1 && size == hard_drive) {
            const std::string_view signature = variable.substr(at + 24, 16);
            if (variable[at + 41] != 2) { // No GUID: an MBR's number.
                return variable[at + 41] == 1
                           ? fmt::format("{:08x}-{:02x}",
                                         read_little_endian<std::uint32_t>(signature, 0),
                                         read_little_endian<std::uint32_t>(variable, at + 4))
                           : std::string();
            }
            return fmt::format("{:08x}-{:04x}-{:04x}-{}-{}",
                               read_little_endian<std::uint32_t>(signature, 0),
                               read_little_endian<std::uint16_t>(signature, 4),
                               read_little_endian<std::uint16_t>(signature, 6),
                               to_hex(signature.substr(8, 2)), to_hex(signature.substr(10)));
        }
        at += size;
    }
    return {};
}

void add_boot(const MachineSources& machine, Inventory& all) {
    std::error_code none;
    const fs::path& sys = machine.kernel.sys;
    const std::string& cpu = machine.architecture;
    if (fs::exists(sys / "firmware/efi", none)) {
        all.firmware = "uefi";
        if (const std::string value = variable(sys, "SecureBoot"); value.size() == attributes + 1) {
            all.secure_boot = value.back() == 1;
        }
    } else if (cpu == "x86_64" || (cpu.size() == 4 && cpu.front() == 'i' && cpu.ends_with("86"))) {
        all.firmware = "bios";
    }
    const std::vector<Mount> mounts =
        parse_mounts(content_of(machine.kernel.proc / "self/mountinfo", std::size_t{4} << 20));
    const Mount* root = mount_at(mounts, "/");
    all.root_disks = disks_of(machine, root);
    all.root_uuid = uuid_of(machine, root, all);
    all.boot_disk = all.firmware == "uefi" ? disk_by_efi(machine) : disk_by_edd(machine);
    for (const char* point : {"/boot/efi", "/boot", "/"}) {
        if (const std::vector<std::string> disks = disks_of(machine, mount_at(mounts, point));
            all.boot_disk.empty() && !disks.empty()) {
            all.boot_disk = disks.front();
        }
    }
}

} // namespace coldspare::clone::inventory
