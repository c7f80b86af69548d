#include "clone/sysfs.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <linux/loop.h>
#include <optional>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace coldspare::clone::sysfs {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t attribute_limit = 64 * 1024;
constexpr std::size_t table_limit = 4 << 20;
constexpr std::uint64_t sysfs_sector = 512; // whatever the sectors of the disk

fs::path directory_of(dev_t device) {
    return fmt::format("/sys/dev/block/{}:{}", ::major(device), ::minor(device));
}

/// The text of an attribute, trimmed; empty if it is not there.
std::string attribute(const fs::path& path) {
    try {
        return printable(trim(read_file(path, attribute_limit)));
    } catch (const Error&) {
        return {};
    }
}

/// The number in an attribute; 0 if there is none.
std::uint64_t number_at(const fs::path& path) {
    const std::string text = attribute(path);
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::optional<dev_t> device_of(const fs::path& directory) {
    const std::string text = attribute(directory / "dev");
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) {
        return std::nullopt;
    }
    return ::makedev(static_cast<unsigned>(std::stoul(text.substr(0, colon))),
                     static_cast<unsigned>(std::stoul(text.substr(colon + 1))));
}

/// The real directory of the device, and of the disk around it if it is a partition.
fs::path disk_directory(dev_t device) {
    std::error_code none;
    const fs::path directory = fs::canonical(directory_of(device), none);
    if (none) {
        return {};
    }
    return fs::exists(directory / "partition") ? directory.parent_path() : directory;
}

std::vector<fs::path> partition_directories(const fs::path& disk) {
    std::vector<fs::path> found;
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(disk, none)) {
        if (fs::exists(entry.path() / "partition", none)) {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    return found;
}

} // namespace

const std::string& boot_id() {
    static const std::string id = attribute("/proc/sys/kernel/random/boot_id");
    return id;
}

namespace {

std::string origin_of_block(dev_t device) {
    return fmt::format("block:{}:{}:{}", boot_id(), ::major(device), ::minor(device));
}

/// "253:0" at field 2 of /proc/self/mountinfo (proc(5)), with mount point and options.
struct Mount {
    std::string device;
    std::string point;
    bool read_only = false;
};

std::vector<Mount> mounts() {
    std::vector<Mount> found;
    const std::string table = read_file("/proc/self/mountinfo", table_limit);
    for (const std::string_view line : split_lines(table)) {
        std::vector<std::string_view> fields;
        for (std::size_t at = 0; at < line.size() && fields.size() < 6;) {
            const std::size_t end = std::min(line.find(' ', at), line.size());
            fields.push_back(line.substr(at, end - at));
            at = end + 1;
        }
        if (fields.size() == 6) {
            found.push_back({std::string(fields[2]), std::string(fields[4]),
                             fields[5].starts_with("ro,") || fields[5] == "ro"});
        }
    }
    return found;
}

void add_device_uses(dev_t device, const fs::path& directory, std::vector<Use>& uses) {
    const std::string name = directory.filename().string();
    const std::string number = fmt::format("{}:{}", ::major(device), ::minor(device));
    for (const Mount& mount : mounts()) {
        if (mount.device == number) {
            uses.push_back(
                {fmt::format("'{}' is mounted {} at '{}'", name,
                             mount.read_only ? "read-only" : "read-write", printable(mount.point)),
                 !mount.read_only});
        }
    }
    const std::string swaps = read_file("/proc/swaps", table_limit);
    for (const std::string_view line : split_lines(swaps)) {
        const std::string path(line.substr(0, line.find(' ')));
        struct stat status {};
        if (::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode) &&
            status.st_rdev == device) {
            uses.push_back({fmt::format("'{}' is used as swap", name), true});
        }
    }
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory / "holders", none)) {
        const std::string holder = entry.path().filename().string();
        const std::string label = attribute(entry.path() / "dm" / "name");
        uses.push_back({fmt::format("'{}' is held by '{}'{}", name, holder,
                                    label.empty() ? "" : fmt::format(" ({})", label)),
                        true});
    }
}

/// What a loop device stands for. The path in sysfs may be of a file that was renamed or deleted;
/// device and inode are the file's own.
std::optional<loop_info64> loop_at(const std::string& node) {
    if (!node.starts_with("/dev/loop")) {
        return std::nullopt;
    }
    const Fd fd(::open(node.c_str(), O_RDONLY | O_CLOEXEC));
    loop_info64 info{};
    if (!fd || ::ioctl(fd.get(), LOOP_GET_STATUS64, &info) != 0) {
        return std::nullopt;
    }
    return info;
}

void add_loops_on(dev_t device, const std::string& name, std::vector<Use>& uses) {
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator("/sys/block", none)) {
        const std::string node = "/dev/" + entry.path().filename().string();
        const std::optional<loop_info64> loop = loop_at(node);
        if (loop && loop->lo_rdevice == device) {
            uses.push_back({fmt::format("'{}' is attached to '{}'", name, node),
                            attribute(entry.path() / "ro") != "1"});
        }
    }
}

/// Whether the kernel refuses to give the device to one alone (O_EXCL): then somebody has it.
bool is_claimed(dev_t device, const std::string& node) {
    struct stat status {};
    if (::stat(node.c_str(), &status) != 0 || status.st_rdev != device) {
        return false;
    }
    const Fd fd(::open(node.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    return !fd && errno == EBUSY;
}

void add_file_uses(const struct stat& file, std::vector<Use>& uses) {
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator("/sys/block", none)) {
        const std::string node = "/dev/" + entry.path().filename().string();
        const std::optional<loop_info64> loop = loop_at(node);
        if (loop && loop->lo_device == file.st_dev && loop->lo_inode == file.st_ino) {
            uses.push_back({fmt::format("it is attached to '{}'", node),
                            attribute(entry.path() / "ro") != "1"});
        }
    }
}

/// `device`, and everything that its bytes are stored on: the disk around a partition, the parts of
/// a device-mapper or md device, the file behind a loop device and what that lies on.
void add_storage(dev_t device, std::vector<std::string>& origins) {
    constexpr std::size_t enough = 200; // of DISK's 256; a stack so deep is refused by its head
    std::string origin = origin_of_block(device);
    if (origins.size() >= enough || std::ranges::find(origins, origin) != origins.end()) {
        return;
    }
    origins.push_back(std::move(origin));
    std::error_code none;
    const fs::path directory = fs::canonical(directory_of(device), none);
    if (none) {
        return; // an anonymous device, such as btrfs or tmpfs have
    }
    for (const fs::directory_entry& part : fs::directory_iterator(directory / "slaves", none)) {
        if (const std::optional<dev_t> below = device_of(part.path())) {
            add_storage(*below, origins);
        }
    }
    const fs::path disk = disk_directory(device);
    if (const std::optional<dev_t> whole = device_of(disk); whole && *whole != device) {
        add_storage(*whole, origins);
    }
    if (const std::optional<loop_info64> loop = loop_at("/dev/" + disk.filename().string())) {
        origins.push_back(origin_of_file(loop->lo_device, loop->lo_inode));
        add_storage(loop->lo_device, origins);
    }
}

} // namespace

Identity identity_of(dev_t device) {
    const fs::path disk = disk_directory(device);
    if (disk.empty()) {
        return {};
    }
    Identity identity;
    identity.model = attribute(disk / "device" / "model");
    identity.serial = attribute(disk / "device" / "serial");
    if (identity.serial.empty()) {
        identity.serial = attribute(disk / "serial"); // virtio
    }
    identity.wwn = attribute(disk / "device" / "wwid");
    if (identity.wwn.empty()) {
        identity.wwn = attribute(disk / "wwid"); // nvme
    }
    return identity;
}

std::string origin_of_file(dev_t device, ino_t inode) {
    return fmt::format("file:{}:{}:{}", boot_id(), device, inode);
}

std::vector<std::string> origins_of_file(dev_t device, ino_t inode) {
    std::vector<std::string> origins{origin_of_file(device, inode)};
    add_storage(device, origins);
    return origins;
}

std::vector<std::string> origins_of_device(dev_t device) {
    std::vector<std::string> origins;
    add_storage(device, origins);
    const fs::path disk = disk_directory(device);
    if (!disk.empty() && device_of(disk) == device) {
        for (const fs::path& partition : partition_directories(disk)) {
            if (const std::optional<dev_t> part = device_of(partition)) {
                origins.push_back(origin_of_block(*part));
            }
        }
    }
    return origins;
}

unsigned partition_number(dev_t device) {
    const std::string number = attribute(directory_of(device) / "partition");
    return number.empty() ? 0 : static_cast<unsigned>(std::stoul(number));
}

std::vector<Use> uses_of(const std::string& path) {
    std::vector<Use> uses;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return uses;
    }
    if (S_ISREG(status.st_mode)) {
        add_file_uses(status, uses);
        return uses;
    }
    std::error_code none;
    const fs::path directory = fs::canonical(directory_of(status.st_rdev), none);
    if (none) {
        return uses;
    }
    add_device_uses(status.st_rdev, directory, uses);
    for (const fs::path& partition : partition_directories(directory)) {
        if (const std::optional<dev_t> part = device_of(partition)) {
            add_device_uses(*part, partition, uses);
        }
    }
    return uses;
}

std::vector<Use> uses_of_range(const std::string& path, Range range) {
    std::vector<Use> uses;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) {
        return uses_of(path);
    }
    std::error_code none;
    const fs::path directory = fs::canonical(directory_of(status.st_rdev), none);
    const auto look_at = [&uses](dev_t device, const fs::path& where, const std::string& node) {
        const std::string name = where.filename().string();
        add_device_uses(device, where, uses);
        add_loops_on(device, name, uses);
        if (!node.empty() && uses.empty() && is_claimed(device, node)) {
            uses.push_back({fmt::format("'{}' is in use", name), true});
        }
    };
    bool divided = false;
    for (const fs::path& partition :
         none ? std::vector<fs::path>() : partition_directories(directory)) {
        const std::uint64_t start = number_at(partition / "start") * sysfs_sector;
        const std::uint64_t length = number_at(partition / "size") * sysfs_sector;
        const std::optional<dev_t> part = device_of(partition);
        if (part && start < range.end() && range.offset < start + length) {
            look_at(*part, partition, "/dev/" + partition.filename().string());
            divided = true;
        }
    }
    // The claim of a partition is one of the disk too: it tells nothing of the others.
    look_at(status.st_rdev, directory, divided ? std::string() : path);
    return uses;
}

std::string name_of(dev_t device) {
    std::error_code none;
    const fs::path directory = fs::canonical(directory_of(device), none);
    return none ? std::string() : directory.filename().string();
}

} // namespace coldspare::clone::sysfs
