#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

/// What the kernel tells of block devices under /sys. All answers are of this moment. What uses
/// them is another question: clone/uses.hpp.
namespace coldspare::clone::sysfs {

/// Where the kernel shows what it knows. Tests have trees of their own.
struct Roots {
    std::filesystem::path sys = "/sys";
    std::filesystem::path proc = "/proc";
    std::filesystem::path dev = "/dev";
};

struct Identity {
    std::string model;
    std::string serial;
    std::string wwn;
};

/// Model, serial number and WWN of a device (of the whole disk for a partition); empty if unknown.
[[nodiscard]] Identity identity_of(dev_t device, const Roots& roots = {});

/// How a disk is attached, and what it is.
struct Hardware {
    std::string bus; ///< see bus_of()
    bool removable = false;
    bool rotational = false; ///< said by a disk that knows: virtual ones do not
    unsigned partition = 0;  ///< its number, if it is one
    std::string map_name;    ///< of a device-mapper device: "vg0-root"
    std::string backing;     ///< of a loop device: the path of its file, as it was attached
};
[[nodiscard]] Hardware hardware_of(dev_t device, const Roots& roots = {});

/// The bus that a device's directory below /sys/devices lies on: "ata", "scsi", "sas", "fc",
/// "iscsi", "usb", "nvme", "virtio", "xen", "mmc"; for a device without hardware what it is:
/// "loop", "dm", "md", "zram", ...; empty if it is none of these. A pure function.
[[nodiscard]] std::string bus_of(const std::filesystem::path& directory);

/// The serial number in SCSI's page 80h (SPC-4 7.8.15): four bytes, the last two its length, then
/// the text. The kernel keeps that page of disks of libata as well.
[[nodiscard]] std::string serial_in_page_80(std::string_view page);

/// A name for this machine as long as it runs.
[[nodiscard]] const std::string& boot_id();

/// "file:BOOT:DEV:INODE": names one file of one running machine.
[[nodiscard]] std::string origin_of_file(dev_t device, ino_t inode);

/// That name, then the device that the file system lies on with all that is below it.
[[nodiscard]] std::vector<std::string> origins_of_file(dev_t device, ino_t inode);

/// The device itself, the devices that it is made of (LVM, md, crypt), the disk around a partition,
/// the partitions of a disk, and the file behind a loop device, as names in the manner of
/// origin_of_file().
[[nodiscard]] std::vector<std::string> origins_of_device(dev_t device);

/// The number of a partition; 0 for a whole disk.
[[nodiscard]] unsigned partition_number(dev_t device);

// For who walks the tree:

/// The text of an attribute, trimmed and printable; empty if it is not there.
[[nodiscard]] std::string attribute(const std::filesystem::path& path);

/// The number in an attribute; 0 if there is none.
[[nodiscard]] std::uint64_t number_at(const std::filesystem::path& path);

/// The real directory of a device; empty for one that has none, such as btrfs or tmpfs give.
[[nodiscard]] std::filesystem::path directory_of(dev_t device, const Roots& roots = {});

/// The same of the disk around a partition, or of the disk itself.
[[nodiscard]] std::filesystem::path disk_directory(dev_t device, const Roots& roots = {});

/// The device whose directory this is.
[[nodiscard]] std::optional<dev_t> device_at(const std::filesystem::path& directory);

/// The directories of a disk's partitions, sorted.
[[nodiscard]] std::vector<std::filesystem::path>
partitions_of(const std::filesystem::path& disk_directory);

/// What a loop device stands for: numbers of the kernel. The path in sysfs may be of a file that
/// was renamed or deleted; these are the file's own.
struct LoopFile {
    dev_t device = 0;       ///< that the file lies on
    ino_t inode = 0;        ///< of the file
    dev_t block_device = 0; ///< the device that is attached in place of a file; else 0
};

/// Nothing if the node is no loop device, or nothing is attached to it.
[[nodiscard]] std::optional<LoopFile> loop_file(const std::filesystem::path& node);

} // namespace coldspare::clone::sysfs
