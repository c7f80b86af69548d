#pragma once

#include "clone/range.hpp"

#include <string>
#include <sys/types.h>
#include <vector>

/// What the kernel tells of block devices under /sys and /proc. All answers are of this moment.
namespace coldspare::clone::sysfs {

struct Identity {
    std::string model;
    std::string serial;
    std::string wwn;
};

/// Model, serial number and WWN of a device (of the whole disk for a partition); empty if unknown.
[[nodiscard]] Identity identity_of(dev_t device);

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

/// Something that has a device or an image file in use right now.
struct Use {
    std::string what; ///< "mounted at '/srv'", "swap", "held by 'dm-0'", "attached to '/dev/loop3'"
    bool writes = true; ///< false for a read-only mount
};

/// Who uses the device or one of its partitions (mounts, swap, holders such as LVM, md, multipath,
/// crypt), or has the image file attached as a loop device.
[[nodiscard]] std::vector<Use> uses_of(const std::string& path);

/// The same for a part of a device: who uses the device as a whole, or a partition that has a byte
/// in `range`. The kernel is asked as well: it knows mounts of other namespaces.
[[nodiscard]] std::vector<Use> uses_of_range(const std::string& path, Range range);

/// The number of a partition; 0 for a whole disk.
[[nodiscard]] unsigned partition_number(dev_t device);

/// The kernel's name of a device: "sda1", or empty if it has none.
[[nodiscard]] std::string name_of(dev_t device);

} // namespace coldspare::clone::sysfs
