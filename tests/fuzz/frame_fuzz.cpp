// Any 48 bytes as a frame header, as they come and with a check that fits: what passes the checks
// must lie inside the plan and come back as the same bytes.
#include "base/error.hpp"
#include "clone/parts.hpp"
#include "clone/wire.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

using namespace coldspare;
using namespace coldspare::clone;

namespace {

using HeaderBytes = std::array<std::byte, header_size>;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void take(const HeaderBytes& bytes, const Geometry& geometry) {
    FrameHeader header;
    try {
        header = decode(bytes);
    } catch (const Error&) {
        return;
    }
    require(encode(header) == bytes);
    const auto lets_through = [&](auto check) {
        try {
            check();
            return true;
        } catch (const Error&) {
            return false;
        }
    };
    if (lets_through([&] { check_control_frame(header); })) {
        require(header.wire_length <=
                (header.type == FrameType::hashes || header.type == FrameType::subhashes
                     ? largest_hashes
                     : largest_json));
    }
    const bool on_disk = inside(header.range(), geometry.size) && header.raw_length > 0;
    const bool starts_block = header.offset % geometry.block_size == 0;
    if (lets_through([&] { check_block_range(header, geometry); })) {
        require(on_disk && starts_block && header.raw_length <= largest_range);
        const bool sums = header.type == FrameType::subhashes;
        require(header.wire_length == 0 || header.type == FrameType::hashes || sums);
        const std::uint64_t unit = sums ? part_size : geometry.block_size;
        require(header.wire_length <= (header.raw_length / unit + 1) * sizeof(Leaf));
    }
    if (!lets_through([&] { check_data_frame(header, geometry); })) {
        return;
    }
    require(on_disk);
    require(starts_block || header.type == FrameType::unreadable);
    if (header.type == FrameType::data) {
        require(header.raw_length <= geometry.block_size);
        require(header.wire_length <= header.raw_length);
    } else if (header.type == FrameType::parts) {
        require(header.raw_length <= geometry.block_size);
        require(header.wire_length <= header.raw_length + parts_head_size(header.raw_length));
    } else {
        require(header.wire_length == 0 && header.raw_length <= largest_range);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    HeaderBytes bytes{};
    const std::span<const std::byte> input = std::as_bytes(std::span(data, size));
    std::ranges::copy(input.first(std::min(size, bytes.size())), bytes.begin());
    const Geometry small{10 * 4096 + 100, 4096};
    const Geometry large{largest_disk_size, largest_block_size};
    take(bytes, small);
    bytes[0] = std::byte{0x43};
    bytes[1] = std::byte{0x53};
    bytes[2] = std::byte{1};
    bytes[5] &= std::byte{flag_ignorable};
    const std::uint64_t check = hash_header(std::span(bytes).first(40));
    for (std::size_t i = 0; i < 8; ++i) {
        bytes[40 + i] = static_cast<std::byte>(check >> (8 * i));
    }
    take(bytes, small);
    take(bytes, large);
    return 0;
}
