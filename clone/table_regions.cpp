#include "clone/table_regions.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/buffer.hpp"
#include "clone/little_endian.hpp"
#include "clone/wire.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t unit = 512;
constexpr std::size_t region_head = 12;
constexpr std::size_t range_bytes = 16;
constexpr std::size_t most_ranges = 4096;

Error broken(std::string_view message, std::string_view reason) {
    return protocol_error(fmt::format("{}: {}", message, reason));
}

} // namespace

TableRegions regions_of(Disk& disk) {
    const std::uint64_t size = disk.facts().size;
    const auto read = [&disk, size](std::uint64_t offset, std::span<std::byte> into) {
        const std::uint64_t first = offset / io_alignment * io_alignment;
        const std::uint64_t end = offset + into.size();
        if (!inside({offset, into.size()}, size)) {
            return false;
        }
        AlignedBuffer buffer(static_cast<std::size_t>(
            std::min((end + io_alignment - 1) / io_alignment * io_alignment, size) - first));
        try {
            disk.read(first, buffer.span());
        } catch (const Error&) {
            return false;
        }
        std::ranges::copy(
            buffer.span().subspan(static_cast<std::size_t>(offset - first), into.size()),
            into.begin());
        return true;
    };
    constexpr std::size_t signature_at = 510;
    TableRegions regions = read_table_regions(read, size, readable_unit(disk.facts()));
    const bool none = regions.empty() || regions.front().bytes[signature_at] != std::byte{0x55} ||
                      regions.front().bytes[signature_at + 1] != std::byte{0xaa};
    return none ? TableRegions() : regions;
}

std::string encode_regions(const TableRegions& regions) {
    std::string payload;
    for (const TableRegion& region : regions) {
        append_little_endian(payload, region.offset);
        append_little_endian(payload, static_cast<std::uint32_t>(region.bytes.size()));
        payload.append(reinterpret_cast<const char*>(region.bytes.data()), region.bytes.size());
    }
    return payload;
}

TableRegions parse_regions(std::string_view payload, std::uint64_t disk_size) {
    TableRegions regions;
    std::uint64_t end = 0;
    while (!payload.empty()) {
        if (payload.size() < region_head || regions.size() == most_regions) {
            throw broken("TABLE", "a region without its head, or too many");
        }
        const Range range{read_little_endian<std::uint64_t>(payload, 0),
                          read_little_endian<std::uint32_t>(payload, 8)};
        payload.remove_prefix(region_head);
        if (range.length == 0 || range.length > payload.size() || range.offset < end ||
            range.offset % unit != 0 || range.length % unit != 0 || !inside(range, disk_size)) {
            throw broken("TABLE",
                         fmt::format("a region of {} bytes at {}", range.length, range.offset));
        }
        const std::span<const std::byte> bytes =
            as_byte_span(payload.substr(0, static_cast<std::size_t>(range.length)));
        regions.push_back({range.offset, {bytes.begin(), bytes.end()}});
        payload.remove_prefix(bytes.size());
        end = range.end();
    }
    return regions;
}

std::string encode_ranges(const std::vector<Range>& ranges) {
    std::string payload;
    for (const Range& range : ranges) {
        append_little_endian(payload, range.offset);
        append_little_endian(payload, range.length);
    }
    return payload;
}

std::vector<Range> parse_ranges(std::string_view payload, std::uint64_t disk_size) {
    if (payload.size() % range_bytes != 0 || payload.size() / range_bytes > most_ranges) {
        throw broken("UNWANTED", fmt::format("{} bytes", payload.size()));
    }
    std::vector<Range> ranges;
    std::uint64_t end = 0;
    for (std::size_t at = 0; at < payload.size(); at += range_bytes) {
        const Range range{read_little_endian<std::uint64_t>(payload, at),
                          read_little_endian<std::uint64_t>(payload, at + 8)};
        if (range.length == 0 || range.offset < end || range.offset % unit != 0 ||
            !inside(range, disk_size) || (range.end() % unit != 0 && range.end() != disk_size)) {
            throw broken("UNWANTED", fmt::format("{} bytes at {}", range.length, range.offset));
        }
        ranges.push_back(range);
        end = range.end();
    }
    return ranges;
}

} // namespace coldspare::clone
