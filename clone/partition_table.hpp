#pragma once

#include "clone/range.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

enum class TableKind { dos, gpt };

[[nodiscard]] constexpr std::string_view word(TableKind kind) {
    return kind == TableKind::dos ? "dos" : "gpt";
}

enum class PartitionRole {
    primary,
    extended, ///< dos: holds logical partitions, and nothing else
    logical,  ///< dos: 5 and up
};

struct Partition {
    unsigned number = 0;
    PartitionRole role = PartitionRole::primary;
    Range range;                  ///< bytes of the disk
    std::string type;             ///< dos: "0x83"; gpt: type GUID, upper case
    std::string uuid;             ///< gpt: unique GUID
    std::string name;             ///< gpt; printable
    std::uint64_t attributes = 0; ///< gpt: attribute bits; dos: 0x80 if active
    bool operator==(const Partition&) const = default;
};

/// A partition table as a value. What is in it was checked by parse_table().
struct PartitionTable {
    TableKind kind = TableKind::dos;
    std::uint32_t sector = 512;        ///< bytes; what the table counts in
    std::string id;                    ///< dos: signature "0x1234abcd"; gpt: disk GUID
    std::vector<Partition> partitions; ///< by number
    std::vector<std::uint64_t> chain;  ///< dos: where the tables of logical partitions (EBR) lie
    Range usable;                      ///< where partitions may lie
    Range entries;                     ///< gpt: the array of the primary table
    bool operator==(const PartitionTable&) const = default;
};

/// A stretch of a disk that belongs to its partition table, as it is there.
struct TableRegion {
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
    [[nodiscard]] Range range() const { return {offset, bytes.size()}; }
    bool operator==(const TableRegion&) const = default;
};
/// Sorted and apart from each other.
using TableRegions = std::vector<TableRegion>;

/// docs/PROTOCOL.md 12.
inline constexpr std::size_t largest_table = (1 << 20) - 8192; ///< bytes of all regions
inline constexpr std::size_t most_regions = 300;

/// Fills a span from an offset of the disk; false if that cannot be had.
using ReadTable = std::function<bool(std::uint64_t offset, std::span<std::byte> into)>;

/// Reads an MBR with its chain of logical partitions (as Linux does), or a GPT (UEFI 2.10 5.3), in
/// sectors of `sector` bytes. Reads nothing but the table. Throws Error (a refusal) with a reason
/// if there is none, or anything about it is in doubt: checksums, overlaps, partitions outside the
/// disk, a hybrid MBR. The second table of a GPT is asked for, and need not be good.
[[nodiscard]] PartitionTable parse_table(const ReadTable& read, std::uint64_t disk_size,
                                         std::uint32_t sector);

/// The same from regions that somebody else has read.
[[nodiscard]] PartitionTable parse_table(const TableRegions& regions, std::uint64_t disk_size,
                                         std::uint32_t sector);

/// Those bytes of a disk that parse_table() asks for, as far as they can be read. Never throws
/// because of what they are: a disk without a table has at least its first sector.
[[nodiscard]] TableRegions read_table_regions(const ReadTable& read, std::uint64_t disk_size,
                                              std::uint32_t sector);

/// A second opinion: throws Error if libparted does not see the same partitions (numbers, places,
/// roles) in `regions` on a disk of this size. Blocks for its look; writes nowhere but into
/// memory.
void require_same_by_libparted(const PartitionTable& table, const TableRegions& regions,
                               std::uint64_t disk_size);

} // namespace coldspare::clone
