#include "clone/holder.hpp"

#include "clone/sysfs.hpp"

#include <fmt/format.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

std::string name_at(const fs::path& directory) {
    const std::string map = sysfs::attribute(directory / "dm/name");
    return map.empty() ? directory.filename().string() : map;
}

Use held_by(const fs::path& device, const fs::path& holder) {
    const std::string name = name_at(device);
    const std::string kernel_name = device.filename().string();
    const std::string by = name_at(holder);
    const std::string node = holder.filename().string();
    const std::string uuid = sysfs::attribute(holder / "dm/uuid");
    const auto use = [&](UseKind kind, const std::string& user, std::string_view sentence,
                         std::string_view way_out) {
        return Use{kind, kernel_name, user, fmt::format(fmt::runtime(sentence), name, user),
                   fmt::format(fmt::runtime(way_out), user)};
    };
    if (uuid.starts_with("LVM-")) {
        return use(UseKind::lvm, volume_group_of(by),
                   "'{}' is a physical volume of the active volume group '{}'",
                   "run 'vgchange -an {}'");
    }
    if (uuid.starts_with("mpath-")) {
        return use(UseKind::multipath, by, "'{}' is a path of the multipath device '{}'",
                   "write to '/dev/mapper/{}' instead");
    }
    if (uuid.starts_with("CRYPT-")) {
        return use(UseKind::crypt, by, "'{}' is opened by dm-crypt as '{}'",
                   "run 'cryptsetup close {}'");
    }
    if (uuid.starts_with("part")) { // "part1-mpath-...", by kpartx
        return use(UseKind::device_mapper, by, "'{}' has the partition '{}'",
                   "run 'dmsetup remove {}'");
    }
    if (!uuid.empty() || node.starts_with("dm-")) {
        return use(UseKind::device_mapper, by, "'{}' is held by the device-mapper device '{}'",
                   "run 'dmsetup remove {}'");
    }
    if (fs::exists(holder / "md")) {
        return use(UseKind::md, node, "'{}' is a member of the md array '{}'",
                   "run 'mdadm --stop /dev/{}'");
    }
    if (fs::exists(holder / "bcache")) {
        return use(UseKind::bcache, node, "'{}' is part of the bcache device '{}'",
                   "run 'echo 1 > /sys/block/{}/bcache/stop'");
    }
    return use(UseKind::holder, node, "'{}' is held by '{}'", "stop what '{}' belongs to");
}

std::string volume_group_of(std::string_view map_name) {
    std::string group;
    for (std::size_t i = 0; i < map_name.size(); ++i) {
        if (map_name[i] == '-') {
            if (i + 1 == map_name.size() || map_name[i + 1] != '-') {
                break;
            }
            ++i;
        }
        group += map_name[i];
    }
    return group;
}

} // namespace coldspare::clone
