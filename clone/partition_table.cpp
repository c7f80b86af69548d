// What libparted sees in the bytes of a table. It looks at a file in memory that is as long as the
// disk and has nothing but the table in it. Its questions are answered with "leave it", and what it
// says is kept for the message.
#include "clone/partition_table.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <parted/parted.h>

#include <algorithm>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace coldspare::clone {

namespace {

/// What libparted complained of; it has one handler for the whole process.
std::string& complaint() {
    static std::string text;
    return text;
}

PedExceptionOption answer(PedException* exception) {
    if (exception->message != nullptr) {
        complaint() = printable(exception->message);
    }
    if ((exception->options & PED_EXCEPTION_IGNORE) != 0) {
        return PED_EXCEPTION_IGNORE;
    }
    if ((exception->options & PED_EXCEPTION_NO) != 0) {
        return PED_EXCEPTION_NO;
    }
    if ((exception->options & PED_EXCEPTION_OK) != 0) { // e.g. that the first GPT is used
        return PED_EXCEPTION_OK;
    }
    return PED_EXCEPTION_UNHANDLED;
}

Fd file_in_memory(const TableRegions& regions, std::uint64_t size) {
    Fd fd(::memfd_create("coldspare-table", MFD_CLOEXEC));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
        throw system_error("cannot make a file in memory", errno);
    }
    for (const TableRegion& region : regions) {
        write_at(fd.get(), region.offset, region.bytes);
    }
    return fd;
}

Error no_second_opinion(std::string_view reason) {
    return refusal(fmt::format("copy partition by partition: libparted does not see the same "
                               "partition table: {}",
                               reason),
                   "copy the whole disk: leave out --partitions");
}

Partition partition_of(const PedPartition& seen, const PartitionTable& table) {
    Partition partition{.number = static_cast<unsigned>(seen.num),
                        .range = {static_cast<std::uint64_t>(seen.geom.start) * table.sector,
                                  static_cast<std::uint64_t>(seen.geom.length) * table.sector}};
    if ((seen.type & PED_PARTITION_EXTENDED) != 0) {
        partition.role = PartitionRole::extended;
    } else if ((seen.type & PED_PARTITION_LOGICAL) != 0) {
        partition.role = PartitionRole::logical;
    }
    return partition;
}

std::string text_of(const Partition& partition, std::uint32_t sector) {
    return fmt::format("partition {} of {} sectors at {}", partition.number,
                       partition.range.length / sector, partition.range.offset / sector);
}

} // namespace

void require_same_by_libparted(const PartitionTable& table, const TableRegions& regions,
                               std::uint64_t disk_size) {
    static std::mutex one_at_a_time;
    const std::scoped_lock lock(one_at_a_time);
    ped_exception_set_handler(answer);
    complaint().clear();
    const Fd fd = file_in_memory(regions, disk_size / table.sector * table.sector);
    const std::string path = fmt::format("/proc/self/fd/{}", fd.get());
    const Handle<PedDevice, ped_device_destroy> device(ped_device_get(path.c_str()));
    if (!device) {
        throw no_second_opinion(complaint());
    }
    // It takes every file for one of 512-byte sectors.
    device->sector_size = table.sector;
    device->phys_sector_size = table.sector;
    device->length = static_cast<PedSector>(disk_size / table.sector);
    const PedDiskType* kind = ped_disk_probe(device.get());
    if (kind == nullptr ||
        std::string_view(kind->name) != (table.kind == TableKind::dos ? "msdos" : "gpt")) {
        throw no_second_opinion(kind == nullptr ? complaint()
                                                : fmt::format("it takes it for '{}'", kind->name));
    }
    const Handle<PedDisk, ped_disk_destroy> disk(ped_disk_new(device.get()));
    if (!disk) {
        throw no_second_opinion(complaint());
    }
    std::vector<Partition> seen;
    for (PedPartition* each = ped_disk_next_partition(disk.get(), nullptr); each != nullptr;
         each = ped_disk_next_partition(disk.get(), each)) {
        if (each->num > 0) {
            seen.push_back(partition_of(*each, table));
        }
    }
    std::ranges::sort(seen, {}, &Partition::number);
    for (std::size_t i = 0; i < std::max(seen.size(), table.partitions.size()); ++i) {
        const Partition* ours = i < table.partitions.size() ? &table.partitions[i] : nullptr;
        const Partition* theirs = i < seen.size() ? &seen[i] : nullptr;
        if (ours == nullptr || theirs == nullptr || ours->number != theirs->number ||
            ours->range != theirs->range || ours->role != theirs->role) {
            throw no_second_opinion(fmt::format(
                "{} here, {} there", ours == nullptr ? "none" : text_of(*ours, table.sector),
                theirs == nullptr ? "none" : text_of(*theirs, table.sector)));
        }
    }
}

} // namespace coldspare::clone
