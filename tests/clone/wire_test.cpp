#include "clone/wire.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/messages.hpp"
#include "clone/parts.hpp"
#include "clone/peers.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

namespace {

using HeaderBytes = std::array<std::byte, header_size>;

/// The bytes of an example in docs/PROTOCOL.md: those that are indented behind its title.
std::string documented(std::string_view title) {
    const std::string page = read_file(SOURCE_DIR "/docs/PROTOCOL.md", std::size_t{1} << 20);
    const std::size_t start = page.find(title);
    REQUIRE(start != std::string::npos);
    std::string digits;
    for (const std::string_view line : split_lines(std::string_view(page).substr(start))) {
        if (!line.starts_with("    ")) {
            if (!digits.empty()) {
                break;
            }
            continue;
        }
        for (const char c : line) {
            if (c != ' ') {
                digits.push_back(c);
            }
        }
    }
    const std::optional<std::string> bytes = from_hex(digits);
    REQUIRE(bytes.has_value());
    return *bytes;
}

/// The 48 bytes of the example in docs/PROTOCOL.md 3.
HeaderBytes documented_example() {
    const std::string bytes = documented("Example: ZERO for the first MiB of disk 0:");
    REQUIRE(bytes.size() == header_size);
    HeaderBytes header;
    std::ranges::copy(as_byte_span(bytes), header.begin());
    return header;
}

std::string hex_of(std::span<const std::byte> bytes) {
    return to_hex(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

FrameHeader busy_header() {
    FrameHeader header{.type = FrameType::data,
                       .codec = Codec::zstd,
                       .flags = flag_ignorable,
                       .disk = 0x0203,
                       .offset = 0x0405060708090a0b,
                       .raw_length = 0x0c0d0e0f,
                       .wire_length = 0x10111213};
    for (std::size_t i = 0; i < header.hash.size(); ++i) {
        header.hash[i] = static_cast<std::byte>(0x20 + i);
    }
    return header;
}

/// The check made right again after `change`: damage of the sender's own making.
HeaderBytes resealed(HeaderBytes bytes, const std::function<void(HeaderBytes&)>& change) {
    change(bytes);
    const std::uint64_t check = hash_header(std::span(bytes).first(40));
    for (std::size_t i = 0; i < 8; ++i) {
        bytes[40 + i] = static_cast<std::byte>(check >> (8 * i));
    }
    return bytes;
}

constexpr Geometry geometry{10 * 4096 + 100, 4096};

FrameHeader data_block() {
    return {.type = FrameType::data, .offset = 4096, .raw_length = 4096, .wire_length = 4096};
}

FrameHeader zero_range() {
    return {.type = FrameType::zero, .offset = 4096, .raw_length = 8192};
}

} // namespace

TEST_CASE("the example of the protocol page is what the program sends") {
    const FrameHeader header{.type = FrameType::zero, .raw_length = 1 << 20};
    CHECK(hex_of(encode(header)) == hex_of(documented_example()));
}

TEST_CASE("the example of the protocol page is what the program understands") {
    const FrameHeader header = decode(documented_example());
    CHECK(header == FrameHeader{.type = FrameType::zero, .raw_length = 1 << 20});
}

TEST_CASE("the other examples of the protocol page are what the program sends") {
    const auto bytes_of = [](const Message& message) {
        return hex_of(encode(message.header())) + to_hex(message.payload);
    };
    CHECK(hex_of(encode(
              FrameHeader{.type = FrameType::same, .offset = 1 << 20, .raw_length = 1 << 20})) ==
          to_hex(documented("Example: SAME for the second MiB of disk 0:")));
    const Leaf leaf = zero_leaf(4096);
    CHECK(bytes_of({FrameType::hashes,
                    std::string(reinterpret_cast<const char*>(leaf.data()), leaf.size()),
                    {8192, 4096}}) == to_hex(documented("Example: HASHES for the third block")));
    CHECK(bytes_of({FrameType::durable, encode(DurableMessage{3, 1 << 20})}) ==
          to_hex(documented("Example: DURABLE after the third epoch")));
    CHECK(bytes_of({FrameType::want, {}, {8192, 4096}}) ==
          to_hex(documented("Example: WANT for the third block")));
}

TEST_CASE("the examples of parts on the protocol page are what the program sends") {
    const auto bytes_of = [](const Message& message) {
        return hex_of(encode(message.header())) + to_hex(message.payload);
    };
    const auto text_of = [](std::span<const std::byte> bytes) {
        return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    const std::span<const std::byte> block = as_byte_span("standby\n");
    std::vector<Leaf> parts;
    hash_parts(block, parts);
    CHECK(bytes_of({FrameType::subhashes, text_of(sum_of(parts.front())), {16384, 8}}) ==
          to_hex(documented("Example: SUBHASHES for that block")));
    std::vector<std::byte> payload(parts_head_size(8));
    encode_parts_head({.changed = {true}, .digest = digest_of(parts)}, payload);
    payload.insert(payload.end(), block.begin(), block.end());
    const FrameHeader header{.type = FrameType::parts,
                             .offset = 16384,
                             .raw_length = 8,
                             .wire_length = static_cast<std::uint32_t>(payload.size()),
                             .hash = hash_block(block)};
    CHECK(hex_of(encode(header)) + hex_of(payload) ==
          to_hex(documented("Example: PARTS for that block")));
    CHECK(bytes_of({FrameType::credit, encode(CreditMessage{1 << 30})}) ==
          to_hex(documented("Example: CREDIT for the first GiB")));
}

TEST_CASE("each field of a header stands at its offset with the lowest byte first") {
    const HeaderBytes bytes = encode(busy_header());
    CHECK(hex_of(std::span(bytes).first(40)) == "4353"             // magic
                                                "01"               // format
                                                "10"               // type
                                                "01"               // codec
                                                "01"               // flags
                                                "0302"             // disk
                                                "0b0a090807060504" // offset
                                                "0f0e0d0c"         // raw length
                                                "13121110"         // wire length
                                                "202122232425262728292a2b2c2d2e2f");
    CHECK(decode(bytes) == busy_header());
}

TEST_CASE("each type comes back as it was sent and has its name") {
    constexpr std::array<std::pair<std::uint8_t, std::string_view>, 17> table{{
        {0x01, "HELLO"},
        {0x02, "DISK"},
        {0x03, "PLAN"},
        {0x04, "READY"},
        {0x05, "ERROR"},
        {0x06, "PROGRESS"},
        {0x07, "END"},
        {0x08, "DONE"},
        {0x10, "DATA"},
        {0x11, "ZERO"},
        {0x12, "UNREADABLE"},
        {0x13, "SAME"},
        {0x14, "STREAM_END"},
        {0x20, "HASHES"},
        {0x21, "WANT"},
        {0x32, "DURABLE"},
        {0x7f, "type 0x7f"},
    }};
    for (const auto& [number, name] : table) {
        CAPTURE(name);
        const auto type = static_cast<FrameType>(number);
        CHECK(decode(encode(FrameHeader{.type = type})).type == type);
        CHECK(frame_name(type) == name);
    }
}

TEST_CASE("each flipped bit of a header is refused") {
    const HeaderBytes good = encode(busy_header());
    for (std::size_t bit = 0; bit < header_size * 8; ++bit) {
        CAPTURE(bit);
        HeaderBytes bad = good;
        bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        CHECK_THROWS_AS(static_cast<void>(decode(bad)), Error);
    }
}

TEST_CASE("another program's bytes are told from a damaged frame") {
    HeaderBytes bytes{};
    std::ranges::copy(as_byte_span("GET / HTTP/1.1\r\nHost: localhost\r\n"), bytes.begin());
    const Error error = thrown_by([&] { static_cast<void>(decode(bytes)); });
    CHECK(error.message() == "what the other side sent is not the coldspare protocol");
    CHECK(error.hint() ==
          "both sides must use TLS, or both --insecure; and the port must be coldspare's");
}

TEST_CASE("a frame of a later format is refused by its number") {
    const HeaderBytes bytes =
        resealed(encode(busy_header()), [](HeaderBytes& raw) { raw[2] = std::byte{2}; });
    CHECK_THROWS_WITH_AS(
        static_cast<void>(decode(bytes)),
        "the peer broke the protocol: a frame of format 2, this version knows format 1", Error);
}

TEST_CASE("a damaged header is told") {
    HeaderBytes bytes = encode(busy_header());
    bytes[20] ^= std::byte{1};
    CHECK_THROWS_WITH_AS(static_cast<void>(decode(bytes)),
                         "the peer broke the protocol: a frame header does not match its check",
                         Error);
}

TEST_CASE("a flag that this version does not know is refused") {
    for (const unsigned flag : {0x02U, 0x04U, 0x80U, 0xffU}) {
        CAPTURE(flag);
        const HeaderBytes bytes = resealed(encode(FrameHeader{}), [flag](HeaderBytes& raw) {
            raw[5] = static_cast<std::byte>(flag);
        });
        CHECK_THROWS_WITH_AS(
            static_cast<void>(decode(bytes)),
            fmt::format("the peer broke the protocol: HELLO frame with flags {:#04x}", flag)
                .c_str(),
            Error);
    }
}

TEST_CASE("good blocks and good ranges of zeros are let through") {
    const std::uint64_t tail = 10 * 4096;
    FrameHeader packed = data_block();
    packed.codec = Codec::zstd;
    packed.wire_length = 4095;
    FrameHeader last = data_block();
    last.offset = tail;
    last.raw_length = last.wire_length = 100;
    FrameHeader all = zero_range();
    all.offset = 0;
    all.raw_length = static_cast<std::uint32_t>(geometry.size);
    FrameHeader last_zero = zero_range();
    last_zero.offset = tail;
    last_zero.raw_length = 100;
    for (const FrameHeader& header : {data_block(), packed, last, zero_range(), all, last_zero}) {
        CAPTURE(header.offset);
        CHECK_NOTHROW(check_data_frame(header, geometry));
    }
}

TEST_CASE("each frame outside the plan is refused with the reason") {
    struct Row {
        std::string_view message;
        FrameHeader header;
    };
    const auto data = [](auto change) {
        FrameHeader header = data_block();
        change(header);
        return header;
    };
    const auto zero = [](auto change) {
        FrameHeader header = zero_range();
        change(header);
        return header;
    };
    const std::vector<Row> table{
        {"DATA frame for 4096 bytes at 4096 of disk 1, there is one disk",
         data([](FrameHeader& h) { h.disk = 1; })},
        {"DATA frame for 0 bytes at 4096 on a disk of 41060 bytes",
         data([](FrameHeader& h) { h.raw_length = h.wire_length = 0; })},
        {"DATA frame for 4096 bytes at 45056 on a disk of 41060 bytes",
         data([](FrameHeader& h) { h.offset = 11 * 4096; })},
        {"DATA frame for 4096 bytes at 40960 on a disk of 41060 bytes",
         data([](FrameHeader& h) { h.offset = 10 * 4096; })},
        {"DATA frame for 4096 bytes at 18446744073709547520 on a disk of 41060 bytes",
         data([](FrameHeader& h) { h.offset = UINT64_MAX - 4095; })},
        {"DATA frame for 4096 bytes at 4097 off the block boundaries",
         data([](FrameHeader& h) { h.offset = 4097; })},
        {"DATA frame for 2048 bytes at 4096 off the block boundaries",
         data([](FrameHeader& h) { h.raw_length = h.wire_length = 2048; })},
        {"DATA frame for 8192 bytes at 4096, a block there has 4096",
         data([](FrameHeader& h) { h.raw_length = h.wire_length = 8192; })},
        {"DATA frame for 4096 bytes at 4096 with codec 0 and a payload of 4095 bytes",
         data([](FrameHeader& h) { h.wire_length = 4095; })},
        {"DATA frame for 4096 bytes at 4096 with codec 0 and a payload of 4294967295 bytes",
         data([](FrameHeader& h) { h.wire_length = UINT32_MAX; })},
        {"DATA frame for 4096 bytes at 4096 with codec 1 and a payload of 4096 bytes",
         data([](FrameHeader& h) { h.codec = Codec::zstd; })},
        {"DATA frame for 4096 bytes at 4096 with codec 1 and a payload of 0 bytes",
         data([](FrameHeader& h) {
             h.codec = Codec::zstd;
             h.wire_length = 0;
         })},
        {"DATA frame for 4096 bytes at 4096 with codec 9 and a payload of 100 bytes",
         data([](FrameHeader& h) {
             h.codec = static_cast<Codec>(9);
             h.wire_length = 100;
         })},
        {"ZERO frame for 0 bytes at 4096 on a disk of 41060 bytes",
         zero([](FrameHeader& h) { h.raw_length = 0; })},
        {"ZERO frame for 4294967295 bytes at 4096 on a disk of 41060 bytes",
         zero([](FrameHeader& h) { h.raw_length = UINT32_MAX; })},
        {"ZERO frame for 8192 bytes at 1 off the block boundaries",
         zero([](FrameHeader& h) { h.offset = 1; })},
        {"ZERO frame for 8191 bytes at 4096 off the block boundaries",
         zero([](FrameHeader& h) { h.raw_length = 8191; })},
        {"ZERO frame for 8192 bytes at 4096 with a payload of 1 bytes",
         zero([](FrameHeader& h) { h.wire_length = 1; })},
        {"ZERO frame for 8192 bytes at 4096 with codec 1 and a payload of 0 bytes",
         zero([](FrameHeader& h) { h.codec = Codec::zstd; })},
        {"ZERO frame for 8192 bytes at 4096 with a hash",
         zero([](FrameHeader& h) { h.hash[3] = std::byte{1}; })},
    };
    for (const Row& row : table) {
        CAPTURE(row.message);
        CHECK_THROWS_WITH_AS(check_data_frame(row.header, geometry),
                             fmt::format("the peer broke the protocol: {}", row.message).c_str(),
                             Error);
    }
}

TEST_CASE("a range of zeros may have one GiB and not a block more") {
    constexpr Geometry large{std::uint64_t{1} << 40, 4096};
    FrameHeader header{.type = FrameType::zero, .raw_length = 1U << 30};
    CHECK_NOTHROW(check_data_frame(header, large));
    header.raw_length += 4096;
    CHECK_THROWS_WITH_AS(check_data_frame(header, large),
                         "the peer broke the protocol: ZERO frame for 1073745920 bytes at 0, the "
                         "limit is 1073741824",
                         Error);
}

TEST_CASE("a control frame may have 64 KiB and not a byte more") {
    FrameHeader header{.type = FrameType::disk, .wire_length = 65536};
    CHECK_NOTHROW(check_control_frame(header));
    header.wire_length = 65537;
    CHECK_THROWS_WITH_AS(check_control_frame(header),
                         "the peer broke the protocol: DISK with a payload of 65537 bytes, the "
                         "limit is 65536",
                         Error);
}

TEST_CASE("a control frame without a payload has no hash") {
    FrameHeader header{.type = FrameType::ready};
    CHECK_NOTHROW(check_control_frame(header));
    header.hash[0] = std::byte{1};
    CHECK_THROWS_WITH_AS(check_control_frame(header),
                         "the peer broke the protocol: READY with a hash of no payload", Error);
}

} // namespace coldspare::clone
