// The MBR, and the chain of tables that logical partitions hang on. The first sector has four
// entries; one may be the container of logical partitions (the extended one), which begins with a
// table (EBR) of two entries: a logical partition, counted from this EBR, and the next EBR, counted
// from the container.
//
//     MBR ─▶ extended [ EBR ─▶ 5   EBR ─▶ 6   EBR ─▶ 7 ]
//                        └──────────▲ └────────▲
#include "clone/table_bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::clone {

namespace {

constexpr std::size_t signature_at = 440;
constexpr std::size_t most_logical = 250;
constexpr std::uint64_t largest_number = 0xffffffff;

bool is_table(std::span<const std::byte> sector) {
    return sector[510] == std::byte{0x55} && sector[511] == std::byte{0xaa};
}

std::string type_text(std::uint8_t type) {
    return fmt::format("{:#04x}", static_cast<unsigned>(type));
}

/// Cylinder, head and sector as everybody writes them today (255 heads, 63 sectors), or the last
/// ones where the place lies behind what they can say.
std::array<std::byte, 3> chs(std::uint64_t lba) {
    constexpr std::uint64_t heads = 255;
    constexpr std::uint64_t sectors = 63;
    constexpr std::uint64_t cylinders = 1024;
    if (lba >= heads * sectors * cylinders) {
        return {std::byte{0xfe}, std::byte{0xff}, std::byte{0xff}};
    }
    const std::uint64_t cylinder = lba / (heads * sectors);
    const std::uint64_t head = lba / sectors % heads;
    const std::uint64_t sector = lba % sectors + 1;
    return {static_cast<std::byte>(head), static_cast<std::byte>(sector | (cylinder >> 8) << 6),
            static_cast<std::byte>(cylinder & 0xff)};
}

/// Rewrites entry `index`: its place counts from `base`, its new one from `new_base` (bytes).
struct Rewrite {
    std::uint32_t sector;
    Range old_range;
    Range new_range;
    std::uint64_t new_base;
};
void rewrite_entry(std::span<std::byte> table, std::size_t index, const Rewrite& change) {
    const std::span<std::byte> entry = table.subspan(entries_at + index * entry_bytes, entry_bytes);
    const std::uint64_t start = (change.new_range.offset - change.new_base) / change.sector;
    const std::uint64_t count = change.new_range.length / change.sector;
    if (start > largest_number || count > largest_number) {
        throw table_refusal(fmt::format("cannot say {} sectors at {}: a number of an MBR has 32 "
                                        "bits",
                                        count, start),
                            "grow no partition beyond that, or convert the source to a GPT first");
    }
    put_number(entry, 8, static_cast<std::uint32_t>(start));
    put_number(entry, 12, static_cast<std::uint32_t>(count));
    if (change.old_range.offset != change.new_range.offset) {
        std::ranges::copy(chs(change.new_range.offset / change.sector), entry.begin() + 1);
    }
    if (change.old_range.end() != change.new_range.end()) {
        std::ranges::copy(chs(change.new_range.end() / change.sector - 1), entry.begin() + 5);
    }
}

class Reading {
public:
    Reading(const ReadTable& read, std::uint64_t disk_size, std::uint32_t sector)
        : read_(read), size_(disk_size), sector_(sector) {
        table_.kind = TableKind::dos;
        table_.sector = sector;
        table_.usable = dos_usable(disk_size, sector);
    }

    PartitionTable run(std::span<const std::byte> first) {
        table_.id = fmt::format("{:#010x}", number_at<std::uint32_t>(first, signature_at));
        for (std::size_t i = 0; i < 4; ++i) {
            const DosEntry entry = dos_entry(first, i);
            if (entry.flag != 0 && entry.flag != 0x80) {
                throw table_refusal("is none: its entries are not those of partitions");
            }
            if (!entry.used()) {
                continue;
            }
            const auto number = static_cast<unsigned>(i + 1);
            add(number, entry, 0,
                entry.is_container() ? PartitionRole::extended : PartitionRole::primary);
        }
        if (std::ranges::count(table_.partitions, PartitionRole::extended, &Partition::role) > 1) {
            throw table_refusal("has more than one extended partition");
        }
        const auto container =
            std::ranges::find(table_.partitions, PartitionRole::extended, &Partition::role);
        if (container != table_.partitions.end()) {
            follow(container->range);
        }
        return std::move(table_);
    }

private:
    void add(unsigned number, const DosEntry& entry, std::uint64_t base, PartitionRole role) {
        const Range range{base + entry.start * sector_, entry.count * sector_};
        if (!inside(range, size_)) {
            throw table_refusal(
                fmt::format("has a partition {} that ends past the end of the disk", number));
        }
        table_.partitions.push_back({.number = number,
                                     .role = role,
                                     .range = range,
                                     .type = type_text(entry.type),
                                     .attributes = entry.flag});
    }

    void follow(Range container) {
        std::vector<std::byte> bytes(sector_);
        unsigned number = first_logical;
        for (std::uint64_t at = container.offset;;) {
            if (at < container.offset || at + sector_ > container.end() ||
                std::ranges::find(table_.chain, at) != table_.chain.end() ||
                table_.chain.size() == most_logical) {
                throw table_refusal("has logical partitions in a circle, outside of their "
                                    "container, or more than 250");
            }
            if (!read_(at, bytes)) {
                throw table_refusal(fmt::format("cannot be read at {}", at));
            }
            if (!is_table(bytes)) {
                // An extended partition that was never filled.
                if (table_.chain.empty()) {
                    return;
                }
                throw table_refusal(fmt::format("has no table of a logical partition at {}", at));
            }
            table_.chain.push_back(at);
            const DosEntry link = dos_entry(bytes, 1);
            if (dos_entry(bytes, 2).used() || dos_entry(bytes, 3).used() ||
                (link.used() && !link.is_container())) {
                throw table_refusal(fmt::format("has more than two entries at {}", at));
            }
            if (const DosEntry own = dos_entry(bytes, 0); own.used()) {
                if (own.is_container()) {
                    throw table_refusal(fmt::format("has a container in a container at {}", at));
                }
                add(number++, own, at, PartitionRole::logical);
            }
            if (!link.used()) {
                return;
            }
            at = container.offset + link.start * sector_;
        }
    }

    const ReadTable& read_;
    std::uint64_t size_;
    std::uint32_t sector_;
    PartitionTable table_;
};

} // namespace

DosEntry dos_entry(std::span<const std::byte> sector, std::size_t index) {
    const std::span<const std::byte> bytes =
        sector.subspan(entries_at + index * entry_bytes, entry_bytes);
    return {.flag = std::to_integer<std::uint8_t>(bytes[0]),
            .type = std::to_integer<std::uint8_t>(bytes[4]),
            .start = number_at<std::uint32_t>(bytes, 8),
            .count = number_at<std::uint32_t>(bytes, 12)};
}

PartitionTable parse_dos(const ReadTable& read, std::span<const std::byte> first,
                         std::uint64_t disk_size, std::uint32_t sector) {
    return Reading(read, disk_size, sector).run(first);
}

Range dos_usable(std::uint64_t disk_size, std::uint32_t sector) {
    const std::uint64_t sectors = std::min(disk_size / sector, largest_number);
    return {sector, (std::max<std::uint64_t>(sectors, 1) - 1) * sector};
}

TableRegions dos_table_with_room(const PartitionTable& table, const TableRegions& regions,
                                 const Insertion& room) {
    TableRegions result;
    const std::uint32_t sector = table.sector;
    std::vector<std::byte> bytes(sector);
    const auto container =
        std::ranges::find(table.partitions, PartitionRole::extended, &Partition::role);
    const auto rewrite = [&](std::size_t index, const Partition& partition, std::uint64_t base) {
        rewrite_entry(bytes, index, {sector, partition.range, room.range(partition), base});
    };
    static_cast<void>(copy_from(regions, 0, bytes));
    for (const Partition& partition : table.partitions) {
        if (partition.number < first_logical) {
            rewrite(partition.number - 1, partition, 0);
        }
    }
    result.push_back({0, bytes});
    for (const std::uint64_t at : table.chain) {
        static_cast<void>(copy_from(regions, at, bytes));
        const DosEntry own = dos_entry(bytes, 0);
        const auto partition = std::ranges::find_if(table.partitions, [&](const Partition& each) {
            return each.role == PartitionRole::logical &&
                   each.range == Range{at + own.start * sector, own.count * sector};
        });
        if (own.used() && partition != table.partitions.end()) {
            rewrite(0, *partition, room.place(at));
        }
        if (const DosEntry link = dos_entry(bytes, 1); link.used()) {
            const Range old{container->range.offset + link.start * sector, link.count * sector};
            const std::uint64_t start = room.place(old.offset);
            const Range now{start,
                            room.end(old.end(), room.in_extended ? Insertion::Holds::grown
                                                                 : Insertion::Holds::another) -
                                start};
            rewrite_entry(bytes, 1, {sector, old, now, room.place(container->range.offset)});
        }
        result.push_back({room.place(at), bytes});
    }
    std::ranges::sort(result, {}, &TableRegion::offset);
    return result;
}

} // namespace coldspare::clone
