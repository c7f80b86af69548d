#pragma once

#include "base/error.hpp"
#include "clone/range.hpp"
#include "clone/sysfs.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What has a disk or an image in use right now: the one answer that `coldspare disks` shows and
/// that every refusal of a target is made of.
///
/// In use is what the kernel or a program would go on reading or writing: a mount, swap, a device
/// that is made of it (LVM, md, multipath, dm-crypt, bcache), a loop device, a virtual machine, a
/// program that has opened it for itself alone. That is refused, whatever is said. A signature that
/// nobody uses (an LVM physical volume whose volume group is not active, a member of an md array
/// that does not run) is content like any other: clone/overwrite.hpp.
namespace coldspare::clone {

enum class UseKind {
    mount,
    swap,
    lvm,
    crypt,
    multipath,
    device_mapper, ///< another map
    md,
    bcache,
    holder, ///< something else that the kernel made of it
    loop,
    virtual_machine,
    program,    ///< opened exclusively
    other_path, ///< another path to the same disk is in use
};

/// "mount", "device-mapper", ...: the word of the JSON form.
[[nodiscard]] std::string_view word_of(UseKind kind);

struct Use {
    UseKind kind = UseKind::mount;
    std::string device;  ///< what is used, by the kernel's name: "sda2"; empty for an image
    std::string by;      ///< what uses it: mount point, volume group, array, loop device, program
    std::string what;    ///< the whole sentence: "'sda2' is mounted read-write at '/srv'"
    std::string way_out; ///< "unmount '/srv'"; empty if another one's is enough
    bool writes = true;  ///< false for a read-only mount
    bool operator==(const Use&) const = default;
};

/// Who uses the device, one of its partitions, or the disk around it if it is a partition; what
/// uses the devices that are made of it; the same of other paths to the disk; or who has the image
/// file. What lies deeper stands later, each once. Looks, and changes nothing; to ask the kernel
/// whether somebody has a device for himself alone, it is opened so for a moment. Root sees more
/// than others do.
[[nodiscard]] std::vector<Use> uses_of(const std::filesystem::path& path);

/// The same by device number, and without opening it.
[[nodiscard]] std::vector<Use> uses_of_device(dev_t device, const sysfs::Roots& roots = {});

/// The same for a part of a device: who uses the device as a whole, or a partition that has a byte
/// in `range`.
[[nodiscard]] std::vector<Use> uses_of_range(const std::filesystem::path& path, Range range);

/// The refusal (status 4) to overwrite what is in use: who uses it, and what has to be done first,
/// in order. A pure function; `uses` has at least one.
[[nodiscard]] Error in_use(std::string_view name, std::span<const Use> uses);

} // namespace coldspare::clone
