#include "clone/free_space.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/blocks.hpp"
#include "clone/buffer.hpp"
#include "clone/disk.hpp"
#include "clone/disk_list.hpp"
#include "clone/used_space.hpp"
#include "clone/uses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fcntl.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t smallest_sector = 512;

/// A partition, or the disk that has none.
struct Part {
    std::string name; ///< "partition 2", "the disk"
    Content content;
    Range range;
};

/// Any bytes of `range`, through a disk that reads whole aligned pieces.
ReadBytes reader_of(Disk& disk, Range range) {
    return [&disk, range](std::uint64_t offset, std::span<std::byte> into) {
        if (!inside({offset, into.size()}, range.length)) {
            throw Error("it ends early");
        }
        const std::uint64_t start = range.offset + offset;
        const std::uint64_t first = start / io_alignment * io_alignment;
        const std::uint64_t end =
            std::min((start + into.size() + io_alignment - 1) / io_alignment * io_alignment,
                     disk.facts().size);
        AlignedBuffer buffer(static_cast<std::size_t>(end - first));
        disk.read(first, buffer.span());
        std::ranges::copy(
            buffer.span().subspan(static_cast<std::size_t>(start - first), into.size()),
            into.begin());
    };
}

std::uint64_t sectors_at(std::span<const std::byte> bytes, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 4; i > 0; --i) {
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i - 1]);
    }
    return value;
}

/// Where the tables of logical partitions lie: each has the one partition, and leads to the next.
std::vector<Range> tables_in(const PartitionEntry& container, const ReadBytes& read,
                             std::uint64_t sector) {
    constexpr std::size_t second_entry = 446 + 16;
    constexpr std::size_t most = 256;
    std::vector<Range> tables;
    std::array<std::byte, 512> bytes{};
    for (std::uint64_t at = container.start; tables.size() < most;) {
        read(at, bytes);
        tables.push_back({at, sector});
        const std::uint64_t next = sectors_at(bytes, second_entry + 8);
        if (next == 0 || bytes[510] != std::byte{0x55} || bytes[511] != std::byte{0xaa}) {
            break;
        }
        at = container.start + next * sector;
    }
    return tables;
}

class Search {
public:
    Search(const fs::path& path, std::stop_token stop)
        : path_(path), disk_(open_source(path, DirectIo::automatic)), stop_(std::move(stop)) {}

    FreeSpace run() {
        // A disk's page cache does not see what was written through its partitions.
        const Fd fd = open_file(path_, O_RDONLY);
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
        const DiskEntry disk = inspect_disk(path_);
        const Range all{0, disk_->facts().size};
        if (disk.table.empty()) {
            take({"the disk", disk.content, all});
        } else if (disk.table != "dos" && disk.table != "gpt") {
            note("the disk", disk.table, "its kind of partition table is not looked into");
        } else if (disk.beside_table.several || !disk.beside_table.type.empty()) {
            note("the disk", disk.beside_table.type, "it has a partition table as well");
        } else {
            try {
                take_partitions(disk, tables_of(disk));
            } catch (const Error& error) {
                if (error.status() == ExitStatus::interrupted) {
                    throw;
                }
                found_ = {};
                note("the disk", disk.table, error.message());
            }
        }
        return std::move(found_);
    }

private:
    void note(const std::string& part, const std::string& type, std::string_view reason) {
        found_.notes.push_back(
            type.empty() ? fmt::format("{} is copied whole: {}", part, reason)
                         : fmt::format("{} ({}) is copied whole: {}", part, type, reason));
    }

    std::vector<Range> tables_of(const DiskEntry& disk) {
        std::vector<Range> tables;
        for (const PartitionEntry& entry : disk.partitions) {
            if (entry.extended) {
                const std::vector<Range> more =
                    tables_in(entry, reader_of(*disk_, {0, disk.facts.size}),
                              std::max(disk.facts.logical_sector, smallest_sector));
                tables.insert(tables.end(), more.begin(), more.end());
            }
        }
        return tables;
    }

    void take_partitions(const DiskEntry& disk, const std::vector<Range>& tables) {
        std::vector<PartitionEntry> partitions = disk.partitions;
        std::ranges::sort(partitions, {}, &PartitionEntry::start);
        for (const PartitionEntry& entry : partitions) {
            const std::string name = fmt::format("partition {}", entry.number);
            if (entry.extended || entry.size == 0) {
                continue;
            }
            const Range range{entry.start, entry.size};
            const auto in_it = [&](Range table) {
                return table.offset < range.end() && range.offset < table.end();
            };
            if (!inside(range, disk.facts.size)) {
                note(name, entry.content.type, "it ends past the end of the disk");
            } else if (const std::string other = overlap_of(entry, partitions); !other.empty()) {
                note(name, entry.content.type, other);
            } else if (std::ranges::any_of(tables, in_it)) {
                note(name, entry.content.type, "the table of a logical partition lies in it");
            } else {
                take({name, entry.content, range});
            }
        }
    }

    /// Who else has bytes of the partition. The container of a logical partition may have them all.
    static std::string overlap_of(const PartitionEntry& one,
                                  const std::vector<PartitionEntry>& partitions) {
        constexpr unsigned first_logical = 5;
        bool in_container = false;
        const bool logical = one.number >= first_logical;
        const bool dos = one.type.starts_with("0x");
        for (const PartitionEntry& other : partitions) {
            if (other.number == one.number || other.start >= one.start + one.size ||
                one.start >= other.start + other.size) {
                continue;
            }
            if (!other.extended || !logical) {
                return fmt::format("partition {} overlaps it", other.number);
            }
            in_container =
                other.start < one.start && one.start + one.size <= other.start + other.size;
        }
        return dos && logical && !in_container ? "it lies outside of the extended partition" : "";
    }

    void take(const Part& part) {
        try {
            require_unused(part);
            std::vector<Range> ranges = ask(part);
            require_unused(part); // nor meanwhile
            for (const Range range : ranges) {
                append_joined(found_.ranges, range);
            }
        } catch (const Error& error) {
            if (error.status() == ExitStatus::interrupted) {
                throw;
            }
            note(part.name, part.content.type, error.message());
        }
    }

    void require_unused(const Part& part) const {
        const std::vector<Use> uses = uses_of_range(path_, part.range);
        if (!uses.empty()) {
            throw Error(uses.front().what);
        }
    }

    [[nodiscard]] std::vector<Range> ask(const Part& part) {
        const std::string& type = part.content.type;
        if (part.content.several) {
            throw Error("it has the signatures of more than one kind");
        }
        if (type.empty()) {
            throw Error("nothing that is known is in it");
        }
        if (type == "ext2" || type == "ext3" || type == "ext4") {
            return free_space_of_ext(path_, part.range, stop_);
        }
        if (type == "xfs") {
            return moved(free_space_of_xfs(reader_of(*disk_, part.range), part.range.length, stop_),
                         part.range.offset);
        }
        if (type == "swap") {
            return moved(free_space_of_swap(reader_of(*disk_, part.range), part.range.length),
                         part.range.offset);
        }
        if (type == "swsuspend") {
            throw Error("it holds the memory of a hibernated system");
        }
        throw Error("only ext2, ext3, ext4, xfs and swap are looked into");
    }

    static std::vector<Range> moved(std::vector<Range> ranges, std::uint64_t by) {
        for (Range& range : ranges) {
            range.offset += by;
        }
        return ranges;
    }

    fs::path path_;
    std::unique_ptr<Disk> disk_;
    std::stop_token stop_;
    FreeSpace found_;
};

} // namespace

FreeSpace find_free_space(const fs::path& path, std::stop_token stop) {
    return Search(path, std::move(stop)).run();
}

} // namespace coldspare::clone
