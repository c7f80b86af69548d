// Any bytes as what the other side tells of partitions: TABLE and UNWANTED are refused or come back
// as they were. And an MBR and a GPT with any of their bytes changed and their checksums right:
// what is not refused gives layouts in which no byte has two places.
#include "base/error.hpp"
#include "clone/layout.hpp"
#include "clone/table_regions.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace coldspare;
using namespace coldspare::clone;

namespace {

constexpr std::uint64_t disk_size = std::uint64_t{64} << 20;
using Bytes = std::vector<std::byte>;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

template <typename Action>
void take(Action action) {
    try {
        action();
    } catch (const Error& error) {
        require(!error.message().empty());
    }
}

template <typename T>
void put(Bytes& bytes, std::size_t at, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
    }
}

void put_entry(Bytes& bytes, std::size_t at, unsigned type, std::uint32_t start,
               std::uint32_t count) {
    bytes[at + 4] = static_cast<std::byte>(type);
    put(bytes, at + 8, start);
    put(bytes, at + 12, count);
}

Bytes table_sector() {
    Bytes bytes(512);
    bytes[510] = std::byte{0x55};
    bytes[511] = std::byte{0xaa};
    return bytes;
}

/// Two primary partitions, and two logical ones in a third.
TableRegions dos() {
    Bytes mbr = table_sector();
    put_entry(mbr, 446, 0x83, 2048, 2048);
    put_entry(mbr, 462, 0x05, 4096, 16384);
    put_entry(mbr, 478, 0x07, 40960, 4096);
    Bytes first = table_sector();
    put_entry(first, 446, 0x83, 63, 2000);
    put_entry(first, 462, 0x05, 4096, 3000);
    Bytes second = table_sector();
    put_entry(second, 446, 0x8e, 1, 2999);
    return {{0, mbr}, {std::uint64_t{4096} * 512, first}, {std::uint64_t{8192} * 512, second}};
}

std::uint32_t crc(const Bytes& bytes, std::size_t first, std::size_t length) {
    std::uint32_t value = 0xffffffff;
    for (std::size_t i = first; i < first + length && i < bytes.size(); ++i) {
        value ^= std::to_integer<std::uint32_t>(bytes[i]);
        for (int bit = 0; bit < 8; ++bit) {
            value = value >> 1 ^ ((value & 1U) != 0 ? 0xedb88320U : 0U);
        }
    }
    return ~value;
}

/// Protective MBR, header and four entries, of which two are used; without checksums.
TableRegions gpt() {
    Bytes bytes(4 * 512);
    put_entry(bytes, 446, 0xee, 1, 131071);
    bytes[510] = std::byte{0x55};
    bytes[511] = std::byte{0xaa};
    constexpr std::string_view signature = "EFI PART";
    for (std::size_t i = 0; i < signature.size(); ++i) {
        bytes[512 + i] = static_cast<std::byte>(signature[i]);
    }
    put<std::uint32_t>(bytes, 512 + 12, 92);
    put<std::uint64_t>(bytes, 512 + 24, 1);
    put<std::uint64_t>(bytes, 512 + 32, 131071);
    put<std::uint64_t>(bytes, 512 + 40, 34);
    put<std::uint64_t>(bytes, 512 + 48, 131000);
    put<std::uint64_t>(bytes, 512 + 72, 2);
    put<std::uint32_t>(bytes, 512 + 80, 4);
    put<std::uint32_t>(bytes, 512 + 84, 128);
    for (const std::size_t entry : {std::size_t{1024}, std::size_t{1024 + 256}}) {
        bytes[entry] = std::byte{1};
        put<std::uint64_t>(bytes, entry + 32, entry * 2);
        put<std::uint64_t>(bytes, entry + 40, entry * 2 + 400);
    }
    return {{0, bytes}};
}

void seal(Bytes& bytes) {
    put(bytes, 512 + 88, crc(bytes, 1024, 512));
    put<std::uint32_t>(bytes, 512 + 16, 0);
    put(bytes, 512 + 16, crc(bytes, 512, std::to_integer<std::size_t>(bytes[512 + 12])));
}

/// Each three bytes of the input change one of the table.
void change(TableRegions& table, const std::uint8_t* data, std::size_t size) {
    for (std::size_t i = 0; i + 3 <= size; i += 3) {
        Bytes& bytes = table[data[i] % table.size()].bytes;
        const std::size_t at = (std::size_t{data[i]} << 8 | data[i + 1]) % bytes.size();
        bytes[at] = static_cast<std::byte>(data[i + 2]);
    }
}

void lay_out(const TableRegions& table) {
    for (const std::uint64_t size : {disk_size, disk_size + (std::uint64_t{7} << 20) + 512}) {
        for (const unsigned grow : {0U, 1U, 2U, 3U, 5U, 6U}) {
            take([&] {
                const Layout layout =
                    plan_layout({"source", disk_size, 512, table}, {"target", size, 0},
                                {.grow = grow == 0 ? std::nullopt : std::optional(grow)});
                require(fault_of(layout.view).empty() && layout.view.needs() <= size);
                for (const PlannedPartition& each : layout.partitions) {
                    require(inside(each.target, size) &&
                            each.target.length >= each.source.range.length);
                }
                require(!layout.lines().empty());
            });
        }
        static_cast<void>(plan_whole_disk({"source", disk_size, 512, table}, {"target", size, 0}));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view payload(reinterpret_cast<const char*>(data), size);
    take([&] { require(encode_regions(parse_regions(payload, disk_size)) == payload); });
    take([&] { require(encode_ranges(parse_ranges(payload, disk_size)) == payload); });
    TableRegions table = dos();
    change(table, data, size);
    lay_out(table);
    table = gpt();
    change(table, data, size);
    seal(table.front().bytes);
    lay_out(table);
    return 0;
}
