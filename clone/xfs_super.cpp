#include "clone/xfs_super.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace coldspare::clone::xfs {

namespace {

std::uint64_t load(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (const std::byte byte : bytes.subspan(at, size)) {
        value = value << 8 | std::to_integer<std::uint64_t>(byte);
    }
    return value;
}

void check_features(std::span<const std::byte> bytes) {
    constexpr std::uint32_t known_version = 0xfdf0; // all bits but that of shared superblocks
    constexpr std::uint32_t directories_v2 = 0x2000;
    constexpr std::uint32_t more_bits = 0x8000;
    constexpr std::uint32_t known_features2_v4 = 0x28a; // lazy counts, attr2, projid32, ftype
    constexpr std::uint32_t checksums = 0x100;
    constexpr std::uint32_t known_ro_compat = 0xf; // finobt, rmapbt, reflink, inobtcount
    constexpr std::uint32_t known_incompat = 0x2f; // ftype, sparse, meta_uuid, bigtime, nrext64
    constexpr std::uint32_t needs_repair = 0x10;
    const std::uint16_t version = be16(bytes, 100);
    const std::uint32_t features2 = (version & more_bits) != 0 ? be32(bytes, 200) : 0;
    const bool v5 = (version & 0xfU) == 5;
    if (!v5 && (version & 0xfU) != 4) {
        throw Error(fmt::format("version {} of XFS is not known here", version & 0xfU));
    }
    if (v5 && (be32(bytes, 216) & needs_repair) != 0) {
        throw Error("it waits for xfs_repair");
    }
    if ((version & 0xfff0U & ~known_version) != 0 || (version & directories_v2) == 0 ||
        (features2 & ~(known_features2_v4 | (v5 ? checksums : 0U))) != 0 ||
        be32(bytes, 200) != be32(bytes, 204) ||
        (v5 && ((features2 & checksums) == 0 || be32(bytes, 208) != 0 ||
                (be32(bytes, 212) & ~known_ro_compat) != 0 ||
                (be32(bytes, 216) & ~known_incompat) != 0))) {
        throw Error("it has features that are not known here");
    }
    if (v5 && be32(bytes, 220) != 0) {
        throw Error("its log is dirty"); // features of the log stand here while it is in use
    }
    if (byte_at(bytes, 126) != 0) {
        throw Error("mkfs.xfs did not finish it");
    }
    if (be64(bytes, 16) != 0 || be64(bytes, 24) != 0) {
        throw Error("it has a realtime part");
    }
    if (be64(bytes, 48) == 0) {
        throw Error("its log is on another device");
    }
}

bool is_power_of_two(std::uint64_t value, std::uint64_t least, std::uint64_t most) {
    return std::has_single_bit(value) && value >= least && value <= most;
}

} // namespace

std::uint16_t be16(std::span<const std::byte> bytes, std::size_t at) {
    return static_cast<std::uint16_t>(load(bytes, at, 2));
}
std::uint32_t be32(std::span<const std::byte> bytes, std::size_t at) {
    return static_cast<std::uint32_t>(load(bytes, at, 4));
}
std::uint64_t be64(std::span<const std::byte> bytes, std::size_t at) {
    return load(bytes, at, 8);
}
std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
    return std::to_integer<std::uint8_t>(bytes[at]);
}
Uuid uuid_at(std::span<const std::byte> bytes, std::size_t at) {
    Uuid uuid{};
    std::ranges::copy(bytes.subspan(at, uuid.size()), uuid.begin());
    return uuid;
}

/// The CRC-32C (Castagnoli) of `bytes`, where the four bytes at `at` hold it (little-endian).
bool crc_fits(std::span<const std::byte> bytes, std::size_t at) {
    constexpr auto table = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t i = 0; i < made.size(); ++i) {
            std::uint32_t crc = i;
            for (int bit = 0; bit < 8; ++bit) {
                crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
            }
            made[i] = crc;
        }
        return made;
    }();
    std::uint32_t crc = 0xffffffff;
    std::uint32_t stored = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        std::uint32_t value = std::to_integer<std::uint32_t>(bytes[i]);
        if (i >= at && i < at + 4) { // counts as zero
            stored |= value << (8 * (i - at));
            value = 0;
        }
        crc = table[(crc ^ value) & 0xffU] ^ (crc >> 8);
    }
    return (crc ^ 0xffffffffU) == stored;
}

Super read_super(const ReadBytes& read, std::uint64_t size) {
    constexpr std::uint32_t least_group = 64;           // blocks
    constexpr std::uint64_t largest_group = 1ULL << 40; // bytes
    constexpr std::uint64_t largest_log = 1ULL << 31;   // bytes
    constexpr std::uint64_t no_group = 0xffffffff;
    constexpr std::uint32_t meta_uuid_feature = 1U << 2;
    Bytes bytes(basic_block);
    read(0, bytes);
    Super super;
    super.block_size = be32(bytes, 4);
    super.sector = be16(bytes, 102);
    if (be32(bytes, 0) != 0x58465342 || !is_power_of_two(super.block_size, 512, 65536) ||
        !is_power_of_two(super.sector, 512, 32768) || super.sector > super.block_size ||
        super.block_size != 1ULL << std::min<unsigned>(byte_at(bytes, 120), 63) ||
        super.sector != 1ULL << std::min<unsigned>(byte_at(bytes, 121), 63)) {
        throw Error("its superblock makes no sense");
    }
    bytes.resize(super.sector);
    read(0, bytes);
    super.v5 = (be16(bytes, 100) & 0xfU) == 5;
    if (super.v5 && !crc_fits(bytes, 224)) {
        throw Error("the checksum of its superblock is wrong");
    }
    check_features(bytes);
    super.blocks = be64(bytes, 8);
    super.uuid = uuid_at(bytes, 32);
    super.meta_uuid =
        super.v5 && (be32(bytes, 216) & meta_uuid_feature) != 0 ? uuid_at(bytes, 248) : super.uuid;
    super.group_blocks = be32(bytes, 84);
    super.groups = be32(bytes, 88);
    super.log_blocks = be32(bytes, 96);
    super.free_blocks = be64(bytes, 144);
    super.log_v2 = super.v5 || (be16(bytes, 100) & 0x400U) != 0;
    if (super.blocks > size / super.block_size) {
        throw Error(fmt::format("it has {} blocks of {} bytes, and there is room for {}",
                                super.blocks, super.block_size, size / super.block_size));
    }
    if (super.group_blocks < least_group || super.groups == 0 || super.log_blocks == 0 ||
        super.group_blocks > largest_group / super.block_size ||
        byte_at(bytes, 124) != std::bit_width(super.group_blocks - 1) ||
        super.blocks <= std::uint64_t{super.group_blocks} * (super.groups - 1) ||
        super.blocks > std::uint64_t{super.group_blocks} * super.groups ||
        super.log_blocks > largest_log / super.block_size) {
        throw Error("its superblock makes no sense");
    }
    // A block number is the group's, shifted by that many bits, and the block in the group.
    const std::uint64_t log = be64(bytes, 48);
    const unsigned group_bits = byte_at(bytes, 124);
    super.log_block = static_cast<std::uint32_t>(log & ((1ULL << group_bits) - 1));
    super.log_group =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(log >> group_bits, no_group));
    if (super.log_group >= super.groups ||
        std::uint64_t{super.log_block} + super.log_blocks > super.blocks_of(super.log_group)) {
        throw Error("its superblock makes no sense");
    }
    return super;
}

} // namespace coldspare::clone::xfs
