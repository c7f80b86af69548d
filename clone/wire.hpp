#pragma once

#include "base/error.hpp"
#include "clone/blocks.hpp"
#include "clone/codec.hpp"
#include "clone/digest.hpp"
#include "clone/range.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace coldspare::clone {

/// Types of frames; numbers, directions and payloads: docs/PROTOCOL.md 5.
enum class FrameType : std::uint8_t {
    hello = 0x01,
    disk = 0x02,
    plan = 0x03,
    ready = 0x04,
    error = 0x05,
    progress = 0x06,
    end = 0x07,
    done = 0x08,
    table = 0x09,
    unwanted = 0x0a,
    inventory = 0x0b,
    data = 0x10,
    zero = 0x11,
    unreadable = 0x12,
    same = 0x13,
    stream_end = 0x14,
    parts = 0x15,
    hashes = 0x20,
    want = 0x21,
    subhashes = 0x22,
    credit = 0x30,
    durable = 0x32,
};

/// "DATA", or "type 0x7f".
[[nodiscard]] std::string frame_name(FrameType type);

/// Whether this version knows the type.
[[nodiscard]] bool is_known(FrameType type);

inline constexpr std::uint8_t flag_ignorable = 0x01;

inline constexpr std::size_t header_size = 48;
inline constexpr std::uint32_t largest_json = 64 * 1024;
inline constexpr std::uint32_t largest_range = std::uint32_t{1} << 30;
inline constexpr std::uint32_t largest_hashes = 1024 * 1024;

/// A frame's header as values (docs/PROTOCOL.md 3).
struct FrameHeader {
    FrameType type = FrameType::hello;
    Codec codec = Codec::store;
    std::uint8_t flags = 0;
    std::uint16_t disk = 0;
    std::uint64_t offset = 0;
    std::uint32_t raw_length = 0;
    std::uint32_t wire_length = 0;
    Leaf hash{};

    [[nodiscard]] Range range() const { return {offset, raw_length}; }
    /// Whether who does not know the type skips the frame.
    [[nodiscard]] bool ignorable() const { return (flags & flag_ignorable) != 0; }
    bool operator==(const FrameHeader&) const = default;
};

/// The 48 bytes of `header`, check included.
[[nodiscard]] std::array<std::byte, header_size> encode(const FrameHeader& header);

/// The Error for a peer that does what docs/PROTOCOL.md does not allow: "the peer broke the
/// protocol: `what`".
[[nodiscard]] Error protocol_error(std::string_view what);

/// Reads a header. Throws Error if magic, format, check or flags are wrong: what came is not a
/// frame, or was damaged on the way.
[[nodiscard]] FrameHeader decode(std::span<const std::byte, header_size> bytes);

/// Refuses a DATA, PARTS, ZERO, SAME or UNREADABLE frame that is not wholly inside the plan:
/// lengths, codec, range and block boundaries (UNREADABLE: any bytes of the disk). Called before
/// the payload is read. Throws Error.
void check_data_frame(const FrameHeader& header, const Geometry& geometry);

/// Refuses a frame without disk data whose payload is too long, or whose hash is of no payload.
/// Called before the payload is read. Throws Error.
void check_control_frame(const FrameHeader& header);

/// Refuses a HASHES, SUBHASHES or WANT frame whose range is not of whole blocks on the disk, or
/// whose payload is not one leaf per block (HASHES: or none at all) or one sum per part
/// (SUBHASHES). Throws Error.
void check_block_range(const FrameHeader& header, const Geometry& geometry);

} // namespace coldspare::clone
