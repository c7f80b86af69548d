#pragma once

#include "clone/disk.hpp"
#include "clone/partition_table.hpp"

#include <string>
#include <string_view>
#include <vector>

/// What both sides tell each other of partitions: the payloads of TABLE and UNWANTED
/// (docs/PROTOCOL.md 13).
namespace coldspare::clone {

/// The bytes of a disk that are its partition table, an MBR or a GPT, as far as they can be read.
/// None if it has none, or its first sector cannot be read. Reads some sectors; throws nothing
/// because of what they are.
[[nodiscard]] TableRegions regions_of(Disk& disk);

/// TABLE.
[[nodiscard]] std::string encode_regions(const TableRegions& regions);
/// Throws Error unless they are sorted, apart, on multiples of 512 bytes on the disk, and within
/// their limits.
[[nodiscard]] TableRegions parse_regions(std::string_view payload, std::uint64_t disk_size);

/// UNWANTED: what the source need not read, and sends as zeros.
[[nodiscard]] std::string encode_ranges(const std::vector<Range>& ranges);
/// Throws Error unless they are sorted, apart, on multiples of 512 bytes (the last one may end with
/// the disk), and not too many.
[[nodiscard]] std::vector<Range> parse_ranges(std::string_view payload, std::uint64_t disk_size);

} // namespace coldspare::clone
