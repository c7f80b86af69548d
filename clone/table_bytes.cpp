#include "clone/table_bytes.hpp"

#include "clone/io_sizes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace coldspare::clone {

namespace {

/// Whether sector 1 has the header of a GPT.
bool has_gpt_header(const ReadTable& read, std::uint32_t sector) {
    std::vector<std::byte> bytes(sector);
    return read(sector, bytes) && std::memcmp(bytes.data(), "EFI PART", 8) == 0;
}

std::string overlap(const Partition& one, const Partition& other) {
    return fmt::format("has partitions {} and {} that overlap", one.number, other.number);
}

/// That no byte has two owners.
void check_places(const PartitionTable& table) {
    const Partition* container = nullptr;
    for (const Partition& partition : table.partitions) {
        container = partition.role == PartitionRole::extended ? &partition : container;
    }
    const auto apart = [](const Range& one, const Range& other) {
        return one.end() <= other.offset || other.end() <= one.offset;
    };
    for (const Partition& one : table.partitions) {
        const bool logical = one.role == PartitionRole::logical;
        if (!logical && one.range.offset < table.usable.offset) {
            throw table_refusal(fmt::format("has a partition {} that begins before sector {}",
                                            one.number, table.usable.offset / table.sector));
        }
        if (logical && (one.range.offset < container->range.offset ||
                        one.range.end() > container->range.end())) {
            throw table_refusal(
                fmt::format("has a partition {} outside of the extended one", one.number));
        }
        for (const Partition& other : table.partitions) {
            const bool same_level = logical == (other.role == PartitionRole::logical);
            if (other.number > one.number && same_level && !apart(one.range, other.range)) {
                throw table_refusal(overlap(one, other));
            }
        }
        for (const std::uint64_t at : table.chain) {
            if (one.role != PartitionRole::extended && !apart(one.range, {at, table.sector})) {
                throw table_refusal(fmt::format(
                    "has a partition {} over the table of a logical partition", one.number));
            }
        }
    }
}

} // namespace

Error table_refusal(std::string_view reason, std::string hint) {
    return refusal(
        fmt::format("copy partition by partition: the source's partition table {}", reason),
        hint.empty() ? "copy the whole disk: leave out --partitions" : std::move(hint));
}

PartitionTable parse_table(const ReadTable& read, std::uint64_t disk_size, std::uint32_t sector) {
    if (sector < 512 || sector > 65536 || (sector & (sector - 1)) != 0 || disk_size < sector) {
        throw table_refusal(
            fmt::format("cannot be there: {} bytes in sectors of {}", disk_size, sector));
    }
    std::vector<std::byte> first(sector);
    if (!read(0, first)) {
        throw table_refusal("cannot be read");
    }
    if (first[510] != std::byte{0x55} || first[511] != std::byte{0xaa}) {
        throw table_refusal("is none that is known");
    }
    unsigned used = 0;
    unsigned protective = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const DosEntry entry = dos_entry(first, i);
        used += entry.used() ? 1U : 0U;
        protective += entry.used() && entry.type == 0xee ? 1U : 0U;
    }
    const bool gpt = protective > 0;
    if (!gpt && sector * 2 <= disk_size && has_gpt_header(read, sector)) {
        throw table_refusal(
            "is an MBR, and a GPT lies beside it that it does not protect",
            "say on the source which of them counts: gdisk makes the MBR protective, "
            "'wipefs' removes the GPT; or copy the whole disk");
    }
    if (protective > 1 || (gpt && used > 1)) {
        throw table_refusal("is a hybrid: an MBR with partitions of its own beside a GPT, and "
                            "both would have to be changed alike",
                            "copy the whole disk: leave out --partitions; or make the MBR "
                            "protective again with gdisk");
    }
    PartitionTable table =
        gpt ? parse_gpt(read, disk_size, sector) : parse_dos(read, first, disk_size, sector);
    if (table.partitions.empty()) {
        throw table_refusal("has no partitions");
    }
    check_places(table);
    return table;
}

bool copy_from(const TableRegions& regions, std::uint64_t offset, std::span<std::byte> into) {
    for (const TableRegion& region : regions) {
        if (region.offset <= offset &&
            inside({offset - region.offset, into.size()}, region.bytes.size())) {
            std::ranges::copy(
                std::span(region.bytes)
                    .subspan(static_cast<std::size_t>(offset - region.offset), into.size()),
                into.begin());
            return true;
        }
    }
    return false;
}

PartitionTable parse_table(const TableRegions& regions, std::uint64_t disk_size,
                           std::uint32_t sector) {
    return parse_table(
        [&regions](std::uint64_t offset, std::span<std::byte> into) {
            return copy_from(regions, offset, into);
        },
        disk_size, sector);
}

TableRegions read_table_regions(const ReadTable& read, std::uint64_t disk_size,
                                std::uint32_t sector) {
    TableRegions found;
    std::vector<Range> ranges;
    std::size_t total = 0;
    const auto remember = [&](std::uint64_t offset, std::span<std::byte> into) {
        if (!read(offset, into)) {
            return false;
        }
        total += into.size();
        if (total > largest_table) {
            return false;
        }
        found.push_back({offset, {into.begin(), into.end()}});
        ranges.push_back(found.back().range());
        return true;
    };
    try {
        static_cast<void>(parse_table(remember, disk_size, sector));
    } catch (const Error&) {
        // The target reads the same bytes, and says what is wrong with them.
    }
    TableRegions result;
    for (const Range& range : joined(ranges)) {
        TableRegion whole{range.offset,
                          std::vector<std::byte>(static_cast<std::size_t>(range.length))};
        for (const TableRegion& part : found) {
            if (part.offset >= range.offset && part.range().end() <= range.end()) {
                std::ranges::copy(part.bytes,
                                  whole.bytes.begin() +
                                      static_cast<std::ptrdiff_t>(part.offset - range.offset));
            }
        }
        result.push_back(std::move(whole));
    }
    return result;
}

} // namespace coldspare::clone
