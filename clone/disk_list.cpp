#include "clone/disk_list.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"

#include <blkid/blkid.h>
#include <fmt/format.h>
#include <libudev.h>

#include <fcntl.h>
#include <sys/stat.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

using Probe = Handle<blkid_struct_probe, blkid_free_probe>;
using Udev = Handle<udev, udev_unref>;
using Enumerate = Handle<udev_enumerate, udev_enumerate_unref>;
using Device = Handle<udev_device, udev_device_unref>;

// libblkid counts partitions in units of 512 bytes, whatever the disk's sectors.
constexpr std::uint64_t blkid_sector = 512;

std::string value_of(blkid_probe probe, const char* name) {
    const char* value = nullptr;
    std::size_t length = 0;
    if (blkid_probe_lookup_value(probe, name, &value, &length) != 0 || length == 0) {
        return {};
    }
    return printable(std::string_view(value, length - 1));
}

std::string text(const char* value) {
    return value != nullptr ? printable(value) : std::string();
}

/// What superblocks say of `size` bytes at `offset`.
Content content_of(int fd, std::uint64_t offset, std::uint64_t size) {
    const Probe probe(blkid_new_probe());
    if (!probe || blkid_probe_set_device(probe.get(), fd, static_cast<blkid_loff_t>(offset),
                                         static_cast<blkid_loff_t>(size)) != 0) {
        return {};
    }
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(),
                                      BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
    constexpr int ambivalent = -2;
    const int found = blkid_do_safeprobe(probe.get());
    if (found != 0) {
        return {.several = found == ambivalent};
    }
    return {value_of(probe.get(), "TYPE"), value_of(probe.get(), "LABEL"),
            value_of(probe.get(), "UUID")};
}

PartitionEntry describe(blkid_partition partition, int fd) {
    PartitionEntry entry;
    entry.number = static_cast<unsigned>(blkid_partition_get_partno(partition));
    entry.start = static_cast<std::uint64_t>(blkid_partition_get_start(partition)) * blkid_sector;
    entry.size = static_cast<std::uint64_t>(blkid_partition_get_size(partition)) * blkid_sector;
    const char* guid = blkid_partition_get_type_string(partition);
    entry.type =
        guid != nullptr
            ? text(guid)
            : fmt::format("{:#04x}", static_cast<unsigned>(blkid_partition_get_type(partition)));
    entry.name = text(blkid_partition_get_name(partition));
    entry.uuid = text(blkid_partition_get_uuid(partition));
    entry.bootable = guid == nullptr && (blkid_partition_get_flags(partition) & 0x80U) != 0;
    entry.extended = blkid_partition_is_extended(partition) != 0;
    if (!entry.extended) {
        entry.content = content_of(fd, entry.start, entry.size);
    }
    return entry;
}

void read_table(int fd, DiskEntry& entry) {
    const Probe probe(blkid_new_probe());
    if (!probe || blkid_probe_set_device(probe.get(), fd, 0, 0) != 0) {
        return;
    }
    if (entry.facts.logical_sector != 0) {
        blkid_probe_set_sectorsize(probe.get(), entry.facts.logical_sector);
    }
    blkid_probe_enable_partitions(probe.get(), 1);
    blkid_partlist list = blkid_probe_get_partitions(probe.get());
    blkid_parttable table = list != nullptr ? blkid_partlist_get_table(list) : nullptr;
    if (table == nullptr) {
        entry.content = content_of(fd, 0, entry.facts.size);
        return;
    }
    entry.table = text(blkid_parttable_get_type(table));
    entry.beside_table = content_of(fd, 0, entry.facts.size);
    for (int i = 0; i < blkid_partlist_numof_partitions(list); ++i) {
        entry.partitions.push_back(describe(blkid_partlist_get_partition(list, i), fd));
    }
}

} // namespace

DiskEntry inspect_disk(const fs::path& path) {
    DiskEntry entry;
    entry.facts = read_disk_facts(path);
    if (entry.facts.kind == DiskKind::nbd) {
        return entry; // libblkid reads from descriptors alone.
    }
    entry.uses = uses_of(path);
    struct stat status {};
    if (entry.facts.kind == DiskKind::block && ::stat(path.c_str(), &status) == 0) {
        entry.hardware = sysfs::hardware_of(status.st_rdev);
    }
    const Fd fd = open_file(path, O_RDONLY);
    read_table(fd.get(), entry);
    return entry;
}

std::vector<DiskEntry> list_disks() {
    const Udev udev(udev_new());
    const Enumerate enumerate(udev ? udev_enumerate_new(udev.get()) : nullptr);
    if (!enumerate) {
        throw Error("cannot list disks: out of memory");
    }
    udev_enumerate_add_match_subsystem(enumerate.get(), "block");
    udev_enumerate_add_match_property(enumerate.get(), "DEVTYPE", "disk");
    udev_enumerate_scan_devices(enumerate.get());
    std::vector<DiskEntry> disks;
    for (udev_list_entry* item = udev_enumerate_get_list_entry(enumerate.get()); item != nullptr;
         item = udev_list_entry_get_next(item)) {
        const Device device(
            udev_device_new_from_syspath(udev.get(), udev_list_entry_get_name(item)));
        const char* node = device ? udev_device_get_devnode(device.get()) : nullptr;
        const char* size = device ? udev_device_get_sysattr_value(device.get(), "size") : nullptr;
        // Loop devices without a file and empty card readers have no bytes.
        if (node == nullptr || size == nullptr || std::string_view(size) == "0") {
            continue;
        }
        try {
            disks.push_back(inspect_disk(node));
        } catch (const Error&) {
            // It went away in between, or its node is missing: it cannot be copied either.
        }
    }
    return disks;
}

} // namespace coldspare::clone
