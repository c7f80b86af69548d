#include "clone/wire.hpp"

#include "base/error.hpp"
#include "base/inventory.hpp"
#include "clone/parts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::clone {

static_assert(largest_inventory <= largest_hashes);

namespace {

constexpr std::byte magic_0{0x43};
constexpr std::byte magic_1{0x53};
constexpr std::byte format{1};
constexpr std::size_t checked_bytes = 40;

template <typename T>
void put(std::span<std::byte> bytes, std::size_t at, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
    }
}

template <typename T>
T take(std::span<const std::byte> bytes, std::size_t at) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<T>(value | (static_cast<T>(bytes[at + i]) << (8 * i)));
    }
    return value;
}

Error broken(std::string reason) {
    return Error(fmt::format("the peer broke the protocol: {}", reason),
                 "run the same version of coldspare on both sides; if both are, the connection "
                 "damages data");
}

/// Empty for a type that is not ours.
std::string_view known_name(FrameType type) {
    switch (type) {
    case FrameType::hello:
        return "HELLO";
    case FrameType::disk:
        return "DISK";
    case FrameType::plan:
        return "PLAN";
    case FrameType::ready:
        return "READY";
    case FrameType::error:
        return "ERROR";
    case FrameType::progress:
        return "PROGRESS";
    case FrameType::end:
        return "END";
    case FrameType::done:
        return "DONE";
    case FrameType::table:
        return "TABLE";
    case FrameType::unwanted:
        return "UNWANTED";
    case FrameType::inventory:
        return "INVENTORY";
    case FrameType::data:
        return "DATA";
    case FrameType::zero:
        return "ZERO";
    case FrameType::unreadable:
        return "UNREADABLE";
    case FrameType::same:
        return "SAME";
    case FrameType::stream_end:
        return "STREAM_END";
    case FrameType::parts:
        return "PARTS";
    case FrameType::hashes:
        return "HASHES";
    case FrameType::want:
        return "WANT";
    case FrameType::subhashes:
        return "SUBHASHES";
    case FrameType::credit:
        return "CREDIT";
    case FrameType::durable:
        return "DURABLE";
    }
    return {};
}

std::string describe(const FrameHeader& header) {
    return fmt::format("{} frame for {} bytes at {}", frame_name(header.type), header.raw_length,
                       header.offset);
}

} // namespace

Error protocol_error(std::string_view what) {
    return Error(fmt::format("the peer broke the protocol: {}", what),
                 "run the same version of coldspare on both sides");
}

std::string frame_name(FrameType type) {
    const std::string_view name = known_name(type);
    return name.empty() ? fmt::format("type {:#04x}", static_cast<unsigned>(type))
                        : std::string(name);
}

bool is_known(FrameType type) {
    return !known_name(type).empty();
}

std::array<std::byte, header_size> encode(const FrameHeader& header) {
    std::array<std::byte, header_size> bytes{};
    bytes[0] = magic_0;
    bytes[1] = magic_1;
    bytes[2] = format;
    bytes[3] = static_cast<std::byte>(header.type);
    bytes[4] = static_cast<std::byte>(header.codec);
    bytes[5] = static_cast<std::byte>(header.flags);
    put(bytes, 6, header.disk);
    put(bytes, 8, header.offset);
    put(bytes, 16, header.raw_length);
    put(bytes, 20, header.wire_length);
    std::copy(header.hash.begin(), header.hash.end(), bytes.begin() + 24);
    put(bytes, checked_bytes, hash_header(std::span(bytes).first(checked_bytes)));
    return bytes;
}

FrameHeader decode(std::span<const std::byte, header_size> bytes) {
    if (bytes[0] != magic_0 || bytes[1] != magic_1) {
        throw Error(
            "what the other side sent is not the coldspare protocol",
            "both sides must use TLS, or both --insecure; and the port must be coldspare's");
    }
    if (bytes[2] != format) {
        throw broken(fmt::format("a frame of format {}, this version knows format 1",
                                 static_cast<unsigned>(bytes[2])));
    }
    if (take<std::uint64_t>(bytes, checked_bytes) != hash_header(bytes.first(checked_bytes))) {
        throw broken("a frame header does not match its check");
    }
    FrameHeader header;
    header.type = static_cast<FrameType>(bytes[3]);
    if ((bytes[5] & ~std::byte{flag_ignorable}) != std::byte{0}) {
        throw broken(fmt::format("{} frame with flags {:#04x}", frame_name(header.type),
                                 static_cast<unsigned>(bytes[5])));
    }
    header.codec = static_cast<Codec>(bytes[4]);
    header.flags = static_cast<std::uint8_t>(bytes[5]);
    header.disk = take<std::uint16_t>(bytes, 6);
    header.offset = take<std::uint64_t>(bytes, 8);
    header.raw_length = take<std::uint32_t>(bytes, 16);
    header.wire_length = take<std::uint32_t>(bytes, 20);
    std::copy_n(bytes.begin() + 24, header.hash.size(), header.hash.begin());
    return header;
}

namespace {

/// What is special to a frame that speaks of a range without carrying it.
void check_bare_range(const FrameHeader& header) {
    if (header.raw_length > largest_range) {
        throw broken(fmt::format("{}, the limit is {}", describe(header), largest_range));
    }
    if (header.codec != Codec::store) {
        throw broken(fmt::format("{} with codec {} and a payload of {} bytes", describe(header),
                                 static_cast<unsigned>(header.codec), header.wire_length));
    }
    if (header.wire_length != 0) {
        throw broken(
            fmt::format("{} with a payload of {} bytes", describe(header), header.wire_length));
    }
    if (header.hash != Leaf{}) {
        throw broken(fmt::format("{} with a hash", describe(header)));
    }
}

void check_on_disk(const FrameHeader& header, const Geometry& geometry) {
    if (header.disk != 0) {
        throw broken(
            fmt::format("{} of disk {}, there is one disk", describe(header), header.disk));
    }
    if (header.raw_length == 0 || !inside(header.range(), geometry.size)) {
        throw broken(fmt::format("{} on a disk of {} bytes", describe(header), geometry.size));
    }
}

void check_whole_blocks(const FrameHeader& header, const Geometry& geometry) {
    const bool ends_on_boundary =
        header.range().end() % geometry.block_size == 0 || header.range().end() == geometry.size;
    if (header.offset % geometry.block_size != 0 || !ends_on_boundary) {
        throw broken(fmt::format("{} off the block boundaries", describe(header)));
    }
}

} // namespace

void check_data_frame(const FrameHeader& header, const Geometry& geometry) {
    check_on_disk(header, geometry);
    if (header.type == FrameType::unreadable) {
        check_bare_range(header);
        return;
    }
    check_whole_blocks(header, geometry);
    if (header.type != FrameType::data && header.type != FrameType::parts) {
        check_bare_range(header);
        return;
    }
    if (header.raw_length != geometry.length_at(header.offset)) {
        throw broken(fmt::format("{}, a block there has {}", describe(header),
                                 geometry.length_at(header.offset)));
    }
    const bool stored = header.codec == Codec::store && header.wire_length == header.raw_length;
    const bool packed = header.codec == Codec::zstd && header.wire_length > 0 &&
                        header.wire_length < header.raw_length;
    // How much of a block comes in parts stands in the payload.
    const std::size_t head = parts_head_size(header.raw_length);
    const bool in_parts = header.type == FrameType::parts &&
                          (header.codec == Codec::store || header.codec == Codec::zstd) &&
                          header.wire_length > head &&
                          header.wire_length <= head + header.raw_length;
    if (header.type == FrameType::parts ? !in_parts : !stored && !packed) {
        throw broken(fmt::format("{} with codec {} and a payload of {} bytes", describe(header),
                                 static_cast<unsigned>(header.codec), header.wire_length));
    }
}

void check_block_range(const FrameHeader& header, const Geometry& geometry) {
    check_on_disk(header, geometry);
    check_whole_blocks(header, geometry);
    if (header.raw_length > largest_range) {
        throw broken(fmt::format("{}, the limit is {}", describe(header), largest_range));
    }
    const std::uint64_t blocks = Geometry{header.raw_length, geometry.block_size}.block_count();
    const bool leaves =
        header.type == FrameType::hashes && header.wire_length == blocks * sizeof(Leaf);
    const bool sums = header.type == FrameType::subhashes && has_parts(geometry) &&
                      header.wire_length == parts_in(header.raw_length) * sizeof(PartSum);
    const bool none = header.type != FrameType::subhashes && header.wire_length == 0;
    if (!none && !leaves && !sums) {
        throw broken(
            fmt::format("{} with a payload of {} bytes", describe(header), header.wire_length));
    }
}

void check_control_frame(const FrameHeader& header) {
    const bool large = header.type == FrameType::hashes || header.type == FrameType::subhashes ||
                       header.type == FrameType::table || header.type == FrameType::inventory;
    const std::uint32_t limit = large ? largest_hashes : largest_json;
    if (header.wire_length > limit) {
        throw broken(fmt::format("{} with a payload of {} bytes, the limit is {}",
                                 frame_name(header.type), header.wire_length, limit));
    }
    if (header.wire_length == 0 && header.hash != Leaf{}) {
        throw broken(fmt::format("{} with a hash of no payload", frame_name(header.type)));
    }
}

} // namespace coldspare::clone
