#pragma once

#include "base/error.hpp"
#include "clone/partition_table.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// The bytes of partition tables: what table_dos.cpp, table_gpt.cpp and parse_table() share.
namespace coldspare::clone {

inline constexpr std::size_t entry_bytes = 16; ///< of a partition in an MBR
inline constexpr std::size_t entries_at = 446;
inline constexpr unsigned first_logical = 5;

/// A little-endian number among bytes that are there.
template <typename T>
[[nodiscard]] T number_at(std::span<const std::byte> bytes, std::size_t at) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<T>(value | (static_cast<T>(bytes[at + i]) << (8 * i)));
    }
    return value;
}
template <typename T>
void put_number(std::span<std::byte> bytes, std::size_t at, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
    }
}

/// Room is made on the disk: what lies at `at` or behind it moves up by `by` bytes, and what ends
/// there because it holds the grown partition ends later by as much.
struct Insertion {
    std::uint64_t at = UINT64_MAX; ///< the end of the grown partition; nothing is grown unless set
    std::uint64_t by = 0;
    unsigned number = 0;      ///< of the grown partition
    bool in_extended = false; ///< whether that is a logical one

    [[nodiscard]] std::uint64_t place(std::uint64_t offset) const {
        return offset >= at ? offset + by : offset;
    }
    /// Where something that ends at `offset` will end, by what it may have at its end.
    enum class Holds { grown, another };
    [[nodiscard]] std::uint64_t end(std::uint64_t offset, Holds holds) const {
        return offset > at || (offset == at && holds == Holds::grown) ? offset + by : offset;
    }
    [[nodiscard]] Range range(const Partition& partition) const {
        const bool holds = partition.number == number ||
                           (in_extended && partition.role == PartitionRole::extended);
        const std::uint64_t start = place(partition.range.offset);
        return {start, end(partition.range.end(), holds ? Holds::grown : Holds::another) - start};
    }
};

/// One of the four entries of an MBR or EBR.
struct DosEntry {
    std::uint8_t flag = 0;
    std::uint8_t type = 0;
    std::uint64_t start = 0; ///< sectors, from whatever the entry counts from
    std::uint64_t count = 0; ///< sectors
    [[nodiscard]] bool used() const { return type != 0 && count != 0; }
    [[nodiscard]] bool is_container() const { return type == 0x05 || type == 0x0f || type == 0x85; }
};
[[nodiscard]] DosEntry dos_entry(std::span<const std::byte> sector, std::size_t index);

/// A refusal: "refusing to copy partition by partition: the partition table ...".
[[nodiscard]] Error table_refusal(std::string_view reason, std::string hint = {});

/// `first` is the first sector.
[[nodiscard]] PartitionTable parse_dos(const ReadTable& read, std::span<const std::byte> first,
                                       std::uint64_t disk_size, std::uint32_t sector);
[[nodiscard]] PartitionTable parse_gpt(const ReadTable& read, std::uint64_t disk_size,
                                       std::uint32_t sector);

/// The table of the same partitions with room made, for a disk of `disk_size` bytes: the source's
/// bytes with nothing changed but places, sizes and checksums. Pure. Throws Error (a refusal) where
/// a number does not fit into its field.
[[nodiscard]] TableRegions dos_table_with_room(const PartitionTable& table,
                                               const TableRegions& regions, const Insertion& room);
[[nodiscard]] TableRegions gpt_table_with_room(const PartitionTable& table,
                                               const TableRegions& regions, const Insertion& room,
                                               std::uint64_t disk_size);

/// Where partitions may lie on a disk of this size with a table of this kind.
[[nodiscard]] Range dos_usable(std::uint64_t disk_size, std::uint32_t sector);
[[nodiscard]] Range gpt_usable(const PartitionTable& table, std::uint64_t disk_size);

/// Bytes of `regions`, if they are all there.
[[nodiscard]] bool copy_from(const TableRegions& regions, std::uint64_t offset,
                             std::span<std::byte> into);

} // namespace coldspare::clone
