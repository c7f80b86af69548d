#include "standby/server_storage.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::standby {

namespace {

// An inventory may be hostile: these bound the work, and are more than any server has.
constexpr std::size_t most_entries = 512; ///< of fstab
constexpr std::size_t most_devices = 256; ///< below one of them
constexpr std::string_view mapper = "/dev/mapper/";

/// "\040" is a blank (fstab(5)).
std::string without_escapes(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::string_view digits = text.substr(i + 1, 3);
        if (text[i] == '\\' && digits.size() == 3 && digits[0] <= '3' &&
            digits.find_first_not_of("01234567") == std::string_view::npos) {
            plain +=
                static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + digits[2] - '0');
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

std::vector<std::string> split_commas(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(','));
        parts.emplace_back(part);
        text.remove_prefix(std::min(part.size() + 1, text.size()));
    }
    return parts;
}

bool is_of_file_server(const FstabEntry& entry) {
    constexpr std::array<std::string_view, 12> types{
        "nfs",  "nfs4",      "cifs",           "smb3",       "smbfs", "glusterfs",
        "ceph", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "9p",    "afs"};
    return std::ranges::find(types, entry.type) != types.end();
}

bool is_digits(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Whether `device` is `disk` or a partition of it: "/dev/sda1", "/dev/nvme0n1p1".
bool is_on(std::string_view device, std::string_view disk) {
    if (disk.empty() || !device.starts_with(disk)) {
        return false;
    }
    std::string_view rest = device.substr(disk.size());
    const bool ends_in_digit = disk.back() >= '0' && disk.back() <= '9';
    if (ends_in_digit && rest.starts_with('p')) {
        rest.remove_prefix(1);
        return is_digits(rest);
    }
    return rest.empty() || (!ends_in_digit && is_digits(rest));
}

void add_unique(std::vector<std::string>& list, const std::string& text) {
    if (!text.empty() && std::ranges::find(list, text) == list.end()) {
        list.push_back(text);
    }
}

/// A device of the server by the names that fstab may have for it.
class Devices {
public:
    explicit Devices(const Inventory& server) : server_(server) {}

    /// What libblkid knows of the device that `name` is: "UUID=...", "/dev/vg0/mail", a link.
    [[nodiscard]] FileSystemFacts find(std::string_view name) const {
        const std::size_t equals = name.find('=');
        const std::string_view tag = name.substr(0, equals);
        std::string_view value =
            equals == std::string_view::npos ? std::string_view() : name.substr(equals + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
            value = value.substr(1, value.size() - 2);
        }
        constexpr std::array<std::pair<std::string_view, std::string_view>, 3> directories{
            {{"UUID", "/dev/disk/by-uuid/"},
             {"LABEL", "/dev/disk/by-label/"},
             {"PARTUUID", "/dev/disk/by-partuuid/"}}};
        for (const auto& [word, directory] : directories) {
            const bool is_link = name.starts_with(directory);
            if (!is_link && (tag != word || value.empty())) {
                continue;
            }
            const std::string_view wanted = is_link ? name.substr(directory.size()) : value;
            FileSystemFacts found = find_by(word == "UUID"    ? &FileSystemFacts::uuid
                                            : word == "LABEL" ? &FileSystemFacts::label
                                                              : &FileSystemFacts::partuuid,
                                            wanted);
            if (found.device.empty() && word == "UUID") {
                found.uuid = wanted;
            }
            return found;
        }
        const std::string node = node_of(name);
        FileSystemFacts found = find_by(&FileSystemFacts::device, node);
        found.device = node;
        return found;
    }

    /// The disks of the inventory that a device lies on, as far as it tells.
    [[nodiscard]] std::vector<std::string> disks_below(const std::string& device) const {
        std::vector<std::string> disks;
        std::vector<std::string> devices{device};
        for (std::size_t i = 0; i < devices.size(); ++i) {
            for (const InventoryDisk& disk : server_.disks) {
                if (is_on(devices[i], disk.name)) {
                    add_unique(disks, disk.name);
                }
            }
            for (const std::string& part : parts_of(devices[i])) {
                if (devices.size() < most_devices) {
                    add_unique(devices, "/dev/" + part);
                }
            }
        }
        return disks;
    }

private:
    [[nodiscard]] const MappedDevice* mapped(std::string_view device) const {
        if (!device.starts_with(mapper)) {
            return nullptr;
        }
        const auto found =
            std::ranges::find(server_.mapped, device.substr(mapper.size()), &MappedDevice::name);
        return found == server_.mapped.end() ? nullptr : &*found;
    }

    /// Names of the kernel: "sda2".
    [[nodiscard]] std::vector<std::string> parts_of(std::string_view device) const {
        if (const MappedDevice* const map = mapped(device)) {
            return map->below;
        }
        constexpr std::string_view array = "/dev/md";
        return device.starts_with(array) ? parts_of_array(device.substr(5))
                                         : std::vector<std::string>();
    }

    [[nodiscard]] FileSystemFacts find_by(std::string FileSystemFacts::*member,
                                          std::string_view wanted) const {
        const auto found = std::ranges::find(server_.file_systems, wanted, member);
        return found == server_.file_systems.end() ? FileSystemFacts() : *found;
    }

    /// "/dev/vg0/mail" is "/dev/mapper/vg0-mail"; a link of udev is what it leads to.
    [[nodiscard]] std::string node_of(std::string_view name) const {
        for (const InventoryDisk& disk : server_.disks) {
            const bool digit =
                !disk.name.empty() && disk.name.back() >= '0' && disk.name.back() <= '9';
            for (const auto& [directory, links] :
                 {std::pair("/dev/disk/by-id/", &disk.by_id),
                  std::pair("/dev/disk/by-path/", &disk.by_path)}) {
                for (const std::string& link : *links) {
                    const std::string path = directory + link;
                    if (name == path) {
                        return disk.name;
                    }
                    if (name.starts_with(path + "-part")) {
                        return fmt::format("{}{}{}", disk.name, digit ? "p" : "",
                                           name.substr(path.size() + 5));
                    }
                }
            }
        }
        const std::size_t slash = name.find('/', 5);
        if (!name.starts_with("/dev/") || slash == std::string_view::npos ||
            name.starts_with(mapper)) {
            return std::string(name);
        }
        std::string map(mapper);
        for (const char c : name.substr(5)) { // A '-' in a name of LVM is written twice.
            map += c == '-' ? "--" : c == '/' ? "-" : std::string(1, c);
        }
        return mapped(map) != nullptr ? map : std::string(name);
    }

    /// The parts of an array: "md0 : active raid1 sdb1[1] sda1[0]".
    [[nodiscard]] std::vector<std::string> parts_of_array(std::string_view name) const {
        std::vector<std::string> parts;
        for (const std::string_view line : split_lines(server_.mdstat)) {
            const std::vector<std::string_view> words = words_of(line);
            if (words.empty() || words.front() != name) {
                continue;
            }
            for (const std::string_view word : words) {
                if (const std::size_t bracket = word.find('['); bracket != std::string_view::npos) {
                    parts.emplace_back(word.substr(0, bracket));
                }
            }
        }
        return parts;
    }

    const Inventory& server_;
};

const IscsiSession* session_of(const Inventory& server, const std::vector<std::string>& disks) {
    for (const IscsiSession& session : server.iscsi_sessions) {
        for (const std::string& disk : disks) {
            if (std::ranges::find(session.disks, disk) != session.disks.end()) {
                return &session;
            }
        }
    }
    return nullptr;
}

bool is_iscsi(const Inventory& server, const std::string& disk) {
    if (session_of(server, {disk}) != nullptr) {
        return true;
    }
    const auto found = std::ranges::find(server.disks, disk, &InventoryDisk::name);
    return found != server.disks.end() &&
           std::ranges::any_of(found->by_path, [](const std::string& link) {
               return link.find("-iscsi-") != std::string::npos;
           });
}

VolumeSettings volume_of(const Inventory& server, const FstabEntry& entry,
                         const FileSystemFacts& facts, const std::vector<std::string>& disks) {
    VolumeSettings volume{.path = entry.point, .uuid = facts.uuid};
    std::vector<std::string> wwns; // several paths to a disk have the same one
    for (const std::string& name : disks) {
        add_unique(wwns, std::ranges::find(server.disks, name, &InventoryDisk::name)->wwn);
    }
    volume.wwid = wwns.size() == 1 ? wwns.front() : std::string();
    if (const IscsiSession* const session = session_of(server, disks)) {
        volume.target = session->target;
        volume.portal = session->portal;
    }
    return volume;
}

} // namespace

std::vector<FstabEntry> parse_fstab(std::string_view text) {
    std::vector<FstabEntry> entries;
    for (const std::string_view line : split_lines(text)) {
        const std::vector<std::string_view> words = words_of(line);
        if (words.size() >= 3 && !words[0].starts_with('#') && entries.size() < most_entries) {
            entries.push_back(
                {.device = without_escapes(words[0]),
                 .point = without_escapes(words[1]),
                 .type = std::string(words[2]),
                 .options = split_commas(words.size() > 3 ? words[3] : std::string_view())});
        }
    }
    return entries;
}

ServerStorage storage_of(const Inventory& server) {
    const Devices devices(server);
    ServerStorage storage;
    add_unique(storage.system_disks, server.boot_disk);
    for (const std::string& disk : server.root_disks) {
        add_unique(storage.system_disks, disk);
    }
    for (const FstabEntry& entry : parse_fstab(server.fstab)) {
        if (is_of_file_server(entry)) {
            add_unique(storage.network_mounts,
                       printable(fmt::format("{} at '{}'", entry.device, entry.point)));
            continue;
        }
        const FileSystemFacts facts = devices.find(entry.device);
        const std::vector<std::string> disks = devices.disks_below(facts.device);
        const bool netdev = std::ranges::find(entry.options, "_netdev") != entry.options.end();
        const bool is_volume =
            entry.point.starts_with('/') && entry.point != "/" &&
            (netdev || std::ranges::any_of(disks, [&](const std::string& disk) {
                 return is_iscsi(server, disk) &&
                        std::ranges::find(server.root_disks, disk) == server.root_disks.end();
             }));
        if (is_volume) {
            storage.volumes.push_back(volume_of(server, entry, facts, disks));
            continue;
        }
        for (const std::string& disk : disks) {
            add_unique(storage.system_disks, disk);
        }
    }
    for (const InventoryDisk& disk : server.disks) {
        if (std::ranges::find(storage.system_disks, disk.name) == storage.system_disks.end()) {
            storage.other_disks.push_back(disk.name);
        }
    }
    return storage;
}

} // namespace coldspare::standby
