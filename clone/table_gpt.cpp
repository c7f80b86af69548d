// The GPT (UEFI 2.10 5.3): a protective MBR in sector 0, a header in sector 1 and the array of
// entries somewhere behind it, and both once more at the end of the disk, the header last.
#include "clone/table_bytes.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace coldspare::clone {

namespace {

constexpr std::size_t smallest_header = 92;
constexpr std::size_t smallest_entry = 128;
constexpr std::size_t largest_entry = 4096;
constexpr std::uint64_t largest_array = 256 << 10;
constexpr std::string_view signature = "EFI PART";

// Where the fields of the header are.
constexpr std::size_t size_at = 12;
constexpr std::size_t crc_at = 16;
constexpr std::size_t my_lba_at = 24;
constexpr std::size_t other_lba_at = 32;
constexpr std::size_t first_usable_at = 40;
constexpr std::size_t last_usable_at = 48;
constexpr std::size_t guid_at = 56;
constexpr std::size_t entries_lba_at = 72;
constexpr std::size_t count_at = 80;
constexpr std::size_t entry_size_at = 84;
constexpr std::size_t entries_crc_at = 88;

// Of an entry.
constexpr std::size_t uuid_at = 16;
constexpr std::size_t first_at = 32;
constexpr std::size_t last_at = 40;
constexpr std::size_t attributes_at = 48;
constexpr std::size_t name_at = 56;
constexpr std::size_t name_units = 36;

/// CRC-32 as in Ethernet and zip (UEFI 2.10 5.3.2).
std::uint32_t crc32(std::span<const std::byte> bytes) {
    std::uint32_t crc = 0xffffffff;
    for (const std::byte byte : bytes) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int i = 0; i < 8; ++i) {
            crc = crc >> 1 ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
        }
    }
    return ~crc;
}

std::uint32_t header_crc(std::span<const std::byte> header) {
    std::vector<std::byte> copy(header.begin(),
                                header.begin() + number_at<std::uint32_t>(header, size_at));
    put_number<std::uint32_t>(copy, crc_at, 0);
    return crc32(copy);
}

/// Groups as they are written: the first three little-endian.
std::string guid(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::size_t at :
         std::array<std::size_t, 16>{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}) {
        const bool group = at == 5 || at == 7 || at == 8 || at == 10;
        text += fmt::format("{}{:02X}", group ? "-" : "", std::to_integer<unsigned>(bytes[at]));
    }
    return text;
}

/// UTF-16 as it stands there; what is no character of the basic plane is '?'.
std::string name_of(std::span<const std::byte> entry) {
    std::string text;
    for (std::size_t i = 0; i < name_units; ++i) {
        const auto unit = number_at<std::uint16_t>(entry, name_at + 2 * i);
        if (unit == 0) {
            break;
        }
        if (unit < 0x80) {
            text += static_cast<char>(unit);
        } else if (unit < 0x800) {
            text += static_cast<char>(0xc0U | unit >> 6U);
            text += static_cast<char>(0x80U | (unit & 0x3fU));
        } else if (unit >= 0xd800 && unit < 0xe000) {
            text += '?';
        } else {
            text += static_cast<char>(0xe0U | unit >> 12U);
            text += static_cast<char>(0x80U | (unit >> 6U & 0x3fU));
            text += static_cast<char>(0x80U | (unit & 0x3fU));
        }
    }
    return printable(text);
}

bool is_zero(std::span<const std::byte> bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

std::uint64_t rounded_up(std::uint64_t length, std::uint32_t sector) {
    return (length + sector - 1) / sector * sector;
}

/// Asks for the second table, so that whoever reads the regions has it; what it says does not
/// count. It lies behind all that may be used.
void touch_second(const ReadTable& read, std::uint64_t other, const PartitionTable& table,
                  std::uint64_t disk_size) {
    const std::uint32_t sector = table.sector;
    std::vector<std::byte> header(sector);
    if (other < table.usable.end() / sector || other >= disk_size / sector ||
        !read(other * sector, header) ||
        std::memcmp(header.data(), signature.data(), signature.size()) != 0) {
        return;
    }
    const auto lba = number_at<std::uint64_t>(header, entries_lba_at);
    if (lba < disk_size / sector && lba >= table.usable.end() / sector &&
        inside({lba * sector, table.entries.length}, disk_size)) {
        std::vector<std::byte> array(static_cast<std::size_t>(table.entries.length));
        static_cast<void>(read(lba * sector, array));
    }
}

} // namespace

PartitionTable parse_gpt(const ReadTable& read, std::uint64_t disk_size, std::uint32_t sector) {
    const std::uint64_t sectors = disk_size / sector;
    std::vector<std::byte> header(sector);
    if (sectors < 3 || !read(sector, header)) {
        throw table_refusal("cannot be read: sector 1 has its GPT");
    }
    const auto size = number_at<std::uint32_t>(header, size_at);
    if (std::memcmp(header.data(), signature.data(), signature.size()) != 0 ||
        size < smallest_header || size > sector ||
        number_at<std::uint32_t>(header, crc_at) != header_crc(header) ||
        number_at<std::uint64_t>(header, my_lba_at) != 1) {
        throw table_refusal("is damaged: the header of its GPT does not match its checksum",
                            "repair it on the source with gdisk");
    }
    const auto count = number_at<std::uint32_t>(header, count_at);
    const auto entry_size = number_at<std::uint32_t>(header, entry_size_at);
    const auto lba = number_at<std::uint64_t>(header, entries_lba_at);
    if (count == 0 || entry_size < smallest_entry || entry_size > largest_entry ||
        entry_size % 8 != 0 || std::uint64_t{count} * entry_size > largest_array || lba < 2 ||
        lba >= sectors) {
        throw table_refusal(fmt::format("is not understood: {} entries of {} bytes at sector {}",
                                        count, entry_size, lba));
    }
    PartitionTable table{.kind = TableKind::gpt, .sector = sector};
    const std::uint64_t length = std::uint64_t{count} * entry_size;
    table.entries = {lba * sector, rounded_up(length, sector)};
    std::vector<std::byte> array(static_cast<std::size_t>(table.entries.length));
    if (!inside(table.entries, disk_size) || !read(table.entries.offset, array)) {
        throw table_refusal(fmt::format("cannot be read: its entries are at sector {}", lba));
    }
    const auto first_usable = number_at<std::uint64_t>(header, first_usable_at);
    const auto last_usable = number_at<std::uint64_t>(header, last_usable_at);
    if (first_usable > last_usable || last_usable >= sectors ||
        first_usable * sector < table.entries.end()) {
        throw table_refusal(fmt::format("says that sectors {} to {} of {} may be used",
                                        first_usable, last_usable, sectors));
    }
    table.usable = {first_usable * sector, (last_usable - first_usable + 1) * sector};
    touch_second(read, number_at<std::uint64_t>(header, other_lba_at), table, disk_size);
    if (number_at<std::uint32_t>(header, entries_crc_at) !=
        crc32(std::span(array).first(static_cast<std::size_t>(length)))) {
        throw table_refusal("is damaged: the entries of its GPT do not match their checksum",
                            "repair it on the source with gdisk");
    }
    table.id = guid(std::span(header).subspan(guid_at, 16));
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::span<const std::byte> entry =
            std::span(array).subspan(std::size_t{i} * entry_size, entry_size);
        if (is_zero(entry.first(16))) {
            continue;
        }
        const auto first = number_at<std::uint64_t>(entry, first_at);
        const auto last = number_at<std::uint64_t>(entry, last_at);
        if (first < first_usable || last > last_usable || first > last) {
            throw table_refusal(fmt::format("has a partition {} from sector {} to {}, where {} to "
                                            "{} may be used",
                                            i + 1, first, last, first_usable, last_usable),
                                "repair it on the source with gdisk");
        }
        table.partitions.push_back({.number = i + 1,
                                    .range = {first * sector, (last - first + 1) * sector},
                                    .type = guid(entry.first(16)),
                                    .uuid = guid(entry.subspan(uuid_at, 16)),
                                    .name = name_of(entry),
                                    .attributes = number_at<std::uint64_t>(entry, attributes_at)});
    }
    return table;
}

Range gpt_usable(const PartitionTable& table, std::uint64_t disk_size) {
    const std::uint64_t sectors = disk_size / table.sector;
    const std::uint64_t behind = 1 + table.entries.length / table.sector;
    const std::uint64_t first = table.usable.offset / table.sector;
    if (sectors < first + behind) {
        return {table.usable.offset, 0};
    }
    return {table.usable.offset, (sectors - behind - first) * table.sector};
}

TableRegions gpt_table_with_room(const PartitionTable& table, const TableRegions& regions,
                                 const Insertion& room, std::uint64_t disk_size) {
    const std::uint32_t sector = table.sector;
    const std::uint64_t last = disk_size / sector - 1;
    std::vector<std::byte> mbr(sector);
    std::vector<std::byte> header(sector);
    std::vector<std::byte> array(static_cast<std::size_t>(table.entries.length));
    static_cast<void>(copy_from(regions, 0, mbr));
    static_cast<void>(copy_from(regions, sector, header));
    static_cast<void>(copy_from(regions, table.entries.offset, array));

    for (std::size_t i = 0; i < 4; ++i) {
        constexpr std::uint32_t whole_disk = 0xffffffff;
        const DosEntry entry = dos_entry(mbr, i);
        if (entry.type == 0xee && entry.count != whole_disk) {
            put_number(mbr, entries_at + i * entry_bytes + 12,
                       static_cast<std::uint32_t>(std::min<std::uint64_t>(last, whole_disk)));
        }
    }
    const auto entry_size = number_at<std::uint32_t>(header, entry_size_at);
    const auto count = number_at<std::uint32_t>(header, count_at);
    for (const Partition& partition : table.partitions) {
        const Range now = room.range(partition);
        const std::span<std::byte> entry =
            std::span(array).subspan(std::size_t{partition.number - 1} * entry_size, entry_size);
        put_number<std::uint64_t>(entry, first_at, now.offset / sector);
        put_number<std::uint64_t>(entry, last_at, now.end() / sector - 1);
    }
    const Range usable = gpt_usable(table, disk_size);
    const bool fits = std::ranges::all_of(table.partitions, [&](const Partition& partition) {
        return room.range(partition).end() <= table.usable.end();
    });
    // On a disk of the same size the header may stay what it is.
    if (number_at<std::uint64_t>(header, other_lba_at) != last || !fits) {
        put_number<std::uint64_t>(header, other_lba_at, last);
        put_number<std::uint64_t>(header, last_usable_at, usable.end() / sector - 1);
    }
    put_number(header, entries_crc_at,
               crc32(std::span(array).first(std::size_t{count} * entry_size)));
    put_number(header, crc_at, header_crc(header));

    std::vector<std::byte> second = header;
    const std::uint64_t second_entries = (last + 1) * sector - sector - array.size();
    put_number<std::uint64_t>(second, my_lba_at, last);
    put_number<std::uint64_t>(second, other_lba_at, 1);
    put_number<std::uint64_t>(second, entries_lba_at, second_entries / sector);
    put_number(second, crc_at, header_crc(second));
    return {{0, std::move(mbr)},
            {sector, std::move(header)},
            {table.entries.offset, array},
            {second_entries, array},
            {last * sector, std::move(second)}};
}

} // namespace coldspare::clone
