#include "clone/sysfs.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

namespace coldspare::clone::sysfs {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t attribute_limit = 64 * 1024;

} // namespace

const std::string& boot_id() {
    static const std::string id = attribute("/proc/sys/kernel/random/boot_id");
    return id;
}

namespace {

std::string origin_of_block(dev_t device) {
    return fmt::format("block:{}:{}:{}", boot_id(), ::major(device), ::minor(device));
}

/// The bytes of an attribute as they are; empty if it is not there.
std::string raw_attribute(const fs::path& path) {
    try {
        return read_file(path, attribute_limit);
    } catch (const Error&) {
        return {};
    }
}

/// The serial number of the USB device that the disk is in.
std::string serial_of_usb(fs::path directory) {
    for (; directory.has_relative_path(); directory = directory.parent_path()) {
        if (!attribute(directory / "idVendor").empty()) {
            return attribute(directory / "serial");
        }
    }
    return {};
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
    const fs::path directory = directory_of(device);
    if (directory.empty()) {
        return;
    }
    std::error_code none;
    for (const fs::directory_entry& part : fs::directory_iterator(directory / "slaves", none)) {
        if (const std::optional<dev_t> below = device_at(part.path())) {
            add_storage(*below, origins);
        }
    }
    const fs::path disk = disk_directory(device);
    if (const std::optional<dev_t> whole = device_at(disk); whole && *whole != device) {
        add_storage(*whole, origins);
    }
    if (const std::optional<LoopFile> loop = loop_file("/dev" / disk.filename())) {
        origins.push_back(origin_of_file(loop->device, loop->inode));
        add_storage(loop->device, origins);
    }
}

} // namespace

std::string attribute(const fs::path& path) {
    return printable(trim(raw_attribute(path)));
}

std::uint64_t number_at(const fs::path& path) {
    const std::string text = attribute(path);
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

fs::path directory_of(dev_t device, const Roots& roots) {
    std::error_code none;
    const fs::path link =
        roots.sys / "dev/block" / fmt::format("{}:{}", ::major(device), ::minor(device));
    fs::path directory = fs::canonical(link, none);
    return none ? fs::path() : directory;
}

fs::path disk_directory(dev_t device, const Roots& roots) {
    const fs::path directory = directory_of(device, roots);
    return fs::exists(directory / "partition") ? directory.parent_path() : directory;
}

std::optional<dev_t> device_at(const fs::path& directory) {
    const std::string text = attribute(directory / "dev");
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) {
        return std::nullopt;
    }
    unsigned major = 0;
    unsigned minor = 0;
    std::from_chars(text.data(), text.data() + colon, major);
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), minor);
    return ::makedev(major, minor);
}

std::vector<fs::path> partitions_of(const fs::path& disk_directory) {
    std::vector<fs::path> found;
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(disk_directory, none)) {
        if (fs::exists(entry.path() / "partition", none)) {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    return found;
}

std::optional<LoopFile> loop_file(const fs::path& node) {
    if (!node.filename().string().starts_with("loop")) {
        return std::nullopt;
    }
    const Fd fd(::open(node.c_str(), O_RDONLY | O_CLOEXEC));
    loop_info64 info{};
    if (!fd || ::ioctl(fd.get(), LOOP_GET_STATUS64, &info) != 0) {
        return std::nullopt;
    }
    return LoopFile{info.lo_device, info.lo_inode, info.lo_rdevice};
}

Identity identity_of(dev_t device, const Roots& roots) {
    const fs::path disk = disk_directory(device, roots);
    if (disk.empty()) {
        return {};
    }
    Identity identity;
    identity.model = attribute(disk / "device/model");
    identity.serial = attribute(disk / "device/serial"); // nvme, mmc
    if (identity.serial.empty()) {
        identity.serial = attribute(disk / "serial"); // virtio
    }
    if (identity.serial.empty()) {
        identity.serial = serial_in_page_80(raw_attribute(disk / "device/vpd_pg80")); // ata, scsi
    }
    if (identity.serial.empty() && bus_of(disk) == "usb") {
        identity.serial = serial_of_usb(disk);
    }
    identity.wwn = attribute(disk / "device/wwid");
    if (identity.wwn.empty()) {
        identity.wwn = attribute(disk / "wwid"); // nvme
    }
    return identity;
}

std::string serial_in_page_80(std::string_view page) {
    constexpr std::size_t header = 4;
    if (page.size() < header) {
        return {};
    }
    const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(page[2])) << 8 |
                               static_cast<unsigned char>(page[3]);
    std::string text(page.substr(header, length));
    std::erase(text, '\0');
    return printable(trim(text));
}

std::string bus_of(const fs::path& directory) {
    struct Sign {
        std::string_view component; ///< how the name of a directory above begins
        std::string_view bus;
    };
    // In this order: a USB stick is a SCSI host as well, and one of virtio may be.
    constexpr std::array<Sign, 11> signs{{{"usb", "usb"},
                                          {"ata", "ata"},
                                          {"session", "iscsi"},
                                          {"rport-", "fc"},
                                          {"end_device-", "sas"},
                                          {"host", "scsi"},
                                          {"nvme", "nvme"},
                                          {"virtio", "virtio"},
                                          {"vbd-", "xen"},
                                          {"mmc", "mmc"},
                                          {"virtual", ""}}};
    const std::string name = directory.filename().string();
    for (const Sign& sign : signs) {
        for (const fs::path& part : directory.parent_path()) {
            const std::string component = part.string();
            // With a number behind it: "host0", and not "hostile".
            if (component.starts_with(sign.component) && component != sign.component &&
                component.find_first_of("0123456789") == sign.component.size()) {
                return std::string(sign.bus);
            }
            if (component == sign.component && sign.component == "virtual") {
                return name.substr(0, name.find_first_of("-0123456789"));
            }
        }
    }
    return {};
}

Hardware hardware_of(dev_t device, const Roots& roots) {
    const fs::path disk = disk_directory(device, roots);
    if (disk.empty()) {
        return {};
    }
    constexpr std::array<std::string_view, 4> honest{"ata", "scsi", "sas", "usb"};
    const std::string bus = bus_of(disk);
    return {.bus = bus,
            .removable = number_at(disk / "removable") == 1,
            .rotational = std::ranges::find(honest, bus) != honest.end() &&
                          number_at(disk / "queue/rotational") == 1,
            .partition =
                static_cast<unsigned>(number_at(directory_of(device, roots) / "partition")),
            .map_name = attribute(disk / "dm/name"),
            .backing = attribute(disk / "loop/backing_file")};
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
    if (!disk.empty() && device_at(disk) == device) {
        for (const fs::path& partition : partitions_of(disk)) {
            if (const std::optional<dev_t> part = device_at(partition)) {
                origins.push_back(origin_of_block(*part));
            }
        }
    }
    return origins;
}

unsigned partition_number(dev_t device) {
    return static_cast<unsigned>(number_at(directory_of(device) / "partition"));
}

} // namespace coldspare::clone::sysfs
