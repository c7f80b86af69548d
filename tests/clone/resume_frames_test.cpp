// The frames that tell of ranges, and of what is there already.
#include "base/error.hpp"
#include "clone/messages.hpp"
#include "clone/wire.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

namespace coldspare::clone {

namespace {

constexpr Geometry geometry{10 * 4096 + 100, 4096};

} // namespace

TEST_CASE("what could not be read may be any bytes of the disk") {
    for (const Range& range :
         {Range{0, 1}, Range{4095, 2}, Range{10 * 4096 + 99, 1}, Range{0, 10 * 4096 + 100}}) {
        CAPTURE(range.offset);
        CHECK_NOTHROW(check_data_frame({.type = FrameType::unreadable,
                                        .offset = range.offset,
                                        .raw_length = static_cast<std::uint32_t>(range.length)},
                                       geometry));
    }
}

TEST_CASE("a frame of a range that leaves the disk, its blocks or its limits is refused") {
    struct Row {
        std::string_view message;
        FrameHeader header;
    };
    Leaf some{};
    some[0] = std::byte{1};
    const std::vector<Row> table{
        {"SAME frame for 4096 bytes at 45056 on a disk of 41060 bytes",
         {.type = FrameType::same, .offset = 45056, .raw_length = 4096}},
        {"SAME frame for 512 bytes at 4096 off the block boundaries",
         {.type = FrameType::same, .offset = 4096, .raw_length = 512}},
        {"SAME frame for 4096 bytes at 0 with a payload of 1 bytes",
         {.type = FrameType::same, .raw_length = 4096, .wire_length = 1}},
        {"SAME frame for 4096 bytes at 0 with a hash",
         {.type = FrameType::same, .raw_length = 4096, .hash = some}},
        {"UNREADABLE frame for 0 bytes at 0 on a disk of 41060 bytes",
         {.type = FrameType::unreadable}},
        {"UNREADABLE frame for 101 bytes at 40960 on a disk of 41060 bytes",
         {.type = FrameType::unreadable, .offset = 40960, .raw_length = 101}},
        {"UNREADABLE frame for 1 bytes at 18446744073709551615 on a disk of 41060 bytes",
         {.type = FrameType::unreadable, .offset = UINT64_MAX, .raw_length = 1}},
        {"UNREADABLE frame for 1 bytes at 0 with a payload of 8 bytes",
         {.type = FrameType::unreadable, .raw_length = 1, .wire_length = 8}},
        {"UNREADABLE frame for 1 bytes at 0 of disk 1, there is one disk",
         {.type = FrameType::unreadable, .disk = 1, .raw_length = 1}},
    };
    for (const Row& row : table) {
        CAPTURE(row.message);
        CHECK_THROWS_WITH_AS(check_data_frame(row.header, geometry),
                             fmt::format("the peer broke the protocol: {}", row.message).c_str(),
                             Error);
    }
}

TEST_CASE("HASHES come with a leaf for each block or with none, and WANT with nothing") {
    for (const FrameHeader& header :
         {FrameHeader{.type = FrameType::hashes, .raw_length = 8192, .wire_length = 32},
          FrameHeader{.type = FrameType::hashes, .raw_length = 8192},
          FrameHeader{
              .type = FrameType::hashes, .offset = 40960, .raw_length = 100, .wire_length = 16},
          FrameHeader{.type = FrameType::want, .offset = 36864, .raw_length = 4196}}) {
        CHECK_NOTHROW(check_block_range(header, geometry));
    }
    constexpr Geometry large{std::uint64_t{1} << 40, 4096};
    FrameHeader header{.type = FrameType::want, .raw_length = 1 << 30};
    CHECK_NOTHROW(check_block_range(header, large));
    header.raw_length += 4096;
    CHECK_THROWS_WITH_AS(check_block_range(header, large),
                         "the peer broke the protocol: WANT frame for 1073745920 bytes at 0, the "
                         "limit is 1073741824",
                         Error);
    header = {.type = FrameType::want, .raw_length = 4096, .wire_length = 16};
    CHECK_THROWS_AS(check_block_range(header, geometry), Error);
    header = {.type = FrameType::hashes, .disk = 1, .raw_length = 4096};
    CHECK_THROWS_AS(check_block_range(header, geometry), Error);
}

TEST_CASE("HASHES may have 1 MiB of leaves and not a byte more") {
    CHECK_NOTHROW(check_control_frame({.type = FrameType::hashes, .wire_length = 1 << 20}));
    CHECK_THROWS_WITH_AS(
        check_control_frame({.type = FrameType::hashes, .wire_length = (1 << 20) + 1}),
        "the peer broke the protocol: HASHES with a payload of 1048577 bytes, the limit is 1048576",
        Error);
    CHECK_THROWS_AS(check_control_frame({.type = FrameType::durable, .wire_length = 1 << 20}),
                    Error);
}

TEST_CASE("DURABLE comes back as it was sent and is two numbers and nothing else") {
    const DurableMessage durable =
        parse_durable(encode(DurableMessage{0x0102030405060708, UINT64_MAX}));
    CHECK(durable.epoch == 0x0102030405060708);
    CHECK(durable.bytes == UINT64_MAX);
    for (const std::size_t length : {0U, 8U, 15U, 17U, 32U}) {
        CAPTURE(length);
        CHECK_THROWS_WITH_AS(static_cast<void>(parse_durable(std::string(length, 'x'))),
                             "the peer broke the protocol: DURABLE: not two numbers", Error);
    }
}

TEST_CASE("a PLAN says whether the target tells what it has") {
    for (const CopyMode mode : {CopyMode::full, CopyMode::resume}) {
        CHECK(parse_plan(encode(PlanMessage{std::string(32, 'a'), 2, mode})).mode == mode);
    }
}

} // namespace coldspare::clone
