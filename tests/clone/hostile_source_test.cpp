// A target against a source that breaks the protocol: a clear Error on both sides, no manifest, and
// not a byte written that was not in the plan.
#include "tests/support/handmade_source.hpp"
#include "tests/support/session.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

namespace coldspare::clone {

using namespace handmade;

namespace {

constexpr std::byte dirt{0xFF};

struct Result {
    std::string message;   ///< the target's Error, or empty
    std::string told;      ///< its ERROR frame's message, "DONE" or "nothing"
    bool manifest = false; ///< the copy was vouched for
    std::vector<Range> writes;
    std::vector<Range> zeros;
};

/// A target that meets a source that does `mischief`, after a HELLO with these features.
template <typename Mischief>
Result meet(Mischief mischief, std::vector<std::string> features = {"zstd", "inventory"}) {
    Listener listener = loopback_listener();
    const Address address = listener.address();
    const auto peers =
        listening_peers(std::move(listener), {}, std::chrono::seconds(0), [](std::string_view) {});
    MemoryDisk disk(disk_size + block_size, dirt);
    Outcome outcome;
    std::jthread target([&] {
        try {
            outcome.received = run_target(disk, *peers, {.streams = 2}, outcome);
        } catch (const Error& error) {
            outcome.target_error = error;
        }
    });
    Result result;
    {
        HandmadeSource source(address, std::move(features));
        try {
            mischief(source);
        } catch (const Error&) {
            // The target may close a connection while we are still sending on it.
        }
        try {
            Message last = source.next_message();
            while (last.type == FrameType::durable) { // The last epoch may be told, or not.
                last = source.next_message();
            }
            result.told = last.type == FrameType::error
                              ? parse_error(last.payload, "target").message()
                              : frame_name(last.type);
        } catch (const Error&) {
            result.told = "nothing";
        }
    }
    target.join();
    result.message = outcome.target_error ? outcome.target_error->message() : "";
    result.manifest = outcome.manifest.has_value();
    result.writes = disk.writes();
    result.zeros = disk.zeros();
    for (const std::vector<Range>& ranges : {result.writes, result.zeros}) {
        for (const Range& range : ranges) {
            CHECK(inside(range, disk_size));
        }
    }
    return result;
}

void require_refused(const Result& result, std::string_view message) {
    CHECK(result.message == message);
    CHECK(result.told == fmt::format("the target reports: {}", message));
    CHECK_FALSE(result.manifest);
}

bool touches(const Result& result, std::uint64_t offset) {
    return std::ranges::find(result.writes, offset, &Range::offset) != result.writes.end();
}

} // namespace

TEST_CASE("a source made by hand that keeps the protocol gets DONE") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_all_blocks();
        source.end_streams();
        source.end(good_root());
    });
    CHECK(result.message.empty());
    CHECK(result.told == "DONE");
    CHECK(result.manifest);
}

TEST_CASE("a block that comes twice is refused and not written again") {
    for (const unsigned second : {0U, 1U}) {
        CAPTURE(second);
        const Result result = meet([&](HandmadeSource& source) {
            source.open_streams();
            source.send_good_block(4096, 0);
            source.send_good_block(4096, second);
            source.end_streams();
            source.end(good_root());
        });
        require_refused(result, "the peer broke the protocol: the block at 4096 came twice");
        CHECK(result.writes.size() <= 1); // The first may still wait for its neighbours.
    }
}

TEST_CASE("zeros over a block that came are refused and not written") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_good_block(4096);
        source.send_frame({.type = FrameType::zero, .raw_length = 3 * block_size});
    });
    require_refused(result, "the peer broke the protocol: the block at 4096 came twice");
    CHECK(result.zeros.empty());
}

TEST_CASE("a frame out of the plan is refused before a byte is written") {
    struct Row {
        std::string_view message;
        FrameHeader header;
    };
    const std::array<Row, 8> table{{
        {"DATA frame for 4096 bytes at 20480 on a disk of 16484 bytes",
         {.type = FrameType::data, .offset = 20480, .raw_length = 4096, .wire_length = 4096}},
        {"DATA frame for 4096 bytes at 16384 on a disk of 16484 bytes",
         {.type = FrameType::data, .offset = 16384, .raw_length = 4096, .wire_length = 4096}},
        {"DATA frame for 4096 bytes at 2048 off the block boundaries",
         {.type = FrameType::data, .offset = 2048, .raw_length = 4096, .wire_length = 4096}},
        {"DATA frame for 4096 bytes at 0 with codec 0 and a payload of 4294967295 bytes",
         {.type = FrameType::data, .raw_length = 4096, .wire_length = UINT32_MAX}},
        {"DATA frame for 4294967295 bytes at 0 on a disk of 16484 bytes",
         {.type = FrameType::data, .raw_length = UINT32_MAX, .wire_length = UINT32_MAX}},
        {"DATA frame for 4096 bytes at 0 of disk 7, there is one disk",
         {.type = FrameType::data, .disk = 7, .raw_length = 4096, .wire_length = 4096}},
        {"ZERO frame for 20480 bytes at 0 on a disk of 16484 bytes",
         {.type = FrameType::zero, .raw_length = 20480}},
        {"ZERO frame for 4096 bytes at 18446744073709547520 on a disk of 16484 bytes",
         {.type = FrameType::zero, .offset = UINT64_MAX - 4095, .raw_length = 4096}},
    }};
    for (const Row& row : table) {
        CAPTURE(row.message);
        const Result result = meet([&](HandmadeSource& source) {
            source.open_streams();
            source.send_frame(row.header, std::vector<std::byte>(block_size));
        });
        require_refused(result, fmt::format("the peer broke the protocol: {}", row.message));
        CHECK(result.writes.empty());
        CHECK(result.zeros.empty());
    }
}

TEST_CASE("a block that is missing at the end is refused") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_good_block(0);
        source.send_good_block(4096);
        source.end_streams();
        source.end(good_root());
    });
    require_refused(result, "the source ended with 3 of 5 blocks missing");
}

TEST_CASE("a block with another hash is refused and not written") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_block(4096, [](FrameHeader& header) { header.hash[15] ^= std::byte{1}; });
    });
    require_refused(result,
                    "the block at 4096 (4.0 KiB) was damaged on the way: its hash is another");
    CHECK_FALSE(touches(result, 4096));
}

TEST_CASE("a payload that is not zstd is refused and not written") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_block(0, [](FrameHeader& header) {
            header.codec = Codec::zstd;
            header.wire_length = 100;
        });
    });
    require_refused(result, "the block at 0 (0 bytes) was damaged on the way: its hash is another");
    CHECK(result.writes.empty());
}

TEST_CASE("a bomb is refused and not written") {
    const std::vector<std::byte> zeros(4 << 20);
    std::vector<std::byte> bomb(zeros.size());
    bomb.resize(Packer().pack(zeros, bomb, 1));
    REQUIRE(bomb.size() < block_size);
    const Result result = meet([&](HandmadeSource& source) {
        source.open_streams();
        source.send_frame({.type = FrameType::data,
                           .codec = Codec::zstd,
                           .raw_length = block_size,
                           .wire_length = static_cast<std::uint32_t>(bomb.size()),
                           .hash = zero_leaf(block_size)},
                          bomb);
    });
    require_refused(result, "the block at 0 (0 bytes) was damaged on the way: its hash is another");
    CHECK(result.writes.empty());
}

TEST_CASE("an unknown frame on a data connection is refused by its number") {
    for (const unsigned type : {0x23U, 0x31U, 0x7fU}) {
        CAPTURE(type);
        const Result result = meet([&](HandmadeSource& source) {
            source.open_streams();
            source.send_frame({.type = static_cast<FrameType>(type)});
        });
        require_refused(
            result,
            fmt::format("the peer broke the protocol: type {:#04x} on a data connection", type));
    }
}

TEST_CASE("a control frame on a data connection is refused by its name") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_frame({.type = FrameType::hello, .flags = flag_ignorable});
    });
    require_refused(result, "the peer broke the protocol: HELLO on a data connection");
}

TEST_CASE("an unknown frame that may be ignored is skipped with its payload") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        const std::vector<std::byte> payload(1000, std::byte{'x'});
        source.send_frame({.type = static_cast<FrameType>(0x6f),
                           .flags = flag_ignorable,
                           .wire_length = 1000,
                           .hash = hash_block(payload)},
                          payload);
        source.send_all_blocks();
        source.end_streams();
        source.end(good_root());
    });
    CHECK(result.told == "DONE");
}

TEST_CASE("an inventory that is none is refused before anything is planned") {
    struct Row {
        std::string payload;
        std::string reason;
    };
    for (const Row& row : std::vector<Row>{
             {"", "it is no JSON object"},
             {"MZ\x90", "it is no JSON object"},
             {R"({"version":1)", "it is no JSON object"},
             {R"({"version":7})", "'version' is 7, and this program knows 1"},
             {R"({"version":1,"nics":[{"name":"../x"}]})",
              "'nics[0].name' is no name of an interface"},
             {R"({"version":1,"a":)" + std::string(1000, '[') + "}", "it is nested too deep"}}) {
        CAPTURE(row.reason);
        const Result result = meet([&](HandmadeSource& source) {
            source.send_disk_message({.inventory = true});
            source.send_control(FrameType::inventory, row.payload);
        });
        require_refused(result,
                        "the peer broke the protocol: INVENTORY: the inventory is not readable: " +
                            row.reason);
        CHECK(result.writes.empty());
    }
}

TEST_CASE("an inventory that is too large is refused before it is read") {
    const Result result = meet([](HandmadeSource& source) {
        source.send_disk_message({.inventory = true});
        source.send_control_header(
            {.type = FrameType::inventory, .wire_length = 1024 * 1024 + 1, .hash = Leaf{}});
    });
    require_refused(result, "the peer broke the protocol: INVENTORY with a payload of 1048577 "
                            "bytes, the limit is 1048576");
    CHECK(result.writes.empty());
}

TEST_CASE("an inventory comes where it was announced and nowhere else") {
    const std::string good = R"({"version":1})";
    const Result unannounced = meet([&](HandmadeSource& source) {
        source.open_streams();
        source.send_control(FrameType::inventory, good);
    });
    require_refused(unannounced, "the peer broke the protocol: INVENTORY where END was due");
    const Result missing = meet([](HandmadeSource& source) {
        source.send_disk_message({.inventory = true});
        source.send_control(FrameType::ready, {});
    });
    require_refused(missing, "the peer broke the protocol: READY where INVENTORY was due");
    const Result not_agreed = meet(
        [&](HandmadeSource& source) {
            source.send_disk_message({.inventory = true});
            source.send_control(FrameType::inventory, good);
        },
        {"zstd"});
    require_refused(not_agreed, "the peer broke the protocol: an INVENTORY that was not agreed on");
}

TEST_CASE("bytes that are no frame end the session") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_raw(std::string(4096, 'x'));
    });
    require_refused(result, "what the other side sent is not the coldspare protocol");
    CHECK(result.writes.empty());
}

TEST_CASE("a damaged header ends the session before its payload is believed") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        auto bytes = encode(FrameHeader{.type = FrameType::zero, .raw_length = block_size});
        bytes[8] ^= std::byte{0x10}; // another block
        source.send_raw({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    });
    require_refused(result, "the peer broke the protocol: a frame header does not match its check");
    CHECK(result.zeros.empty());
}

TEST_CASE("a root that is another is told with both") {
    const std::string other(64, 'b');
    const Result result = meet([&](HandmadeSource& source) {
        source.open_streams();
        source.send_all_blocks();
        source.end_streams();
        source.end(other);
    });
    require_refused(result,
                    fmt::format("the roots differ: {} here, {} on the source", good_root(), other));
}

TEST_CASE("a stream that ends without its last frame is no success") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_all_blocks();
        source.close_stream();
        source.end(good_root());
    });
    CHECK(contains(result.message, "closed the connection"));
    CHECK_FALSE(result.manifest);
}

TEST_CASE("a message out of turn on the control connection is refused") {
    const Result during = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_control(FrameType::ready, {});
    });
    require_refused(during, "the peer broke the protocol: READY where END was due");
    const Result before = meet([](HandmadeSource& source) {
        source.send_control(FrameType::end, encode(RootMessage{good_root(), 0}));
    });
    require_refused(before, "the peer broke the protocol: END where DISK was due");
    CHECK(before.writes.empty());
}

TEST_CASE("a control frame that is too long is refused") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_control_header({.type = FrameType::end, .wire_length = largest_json + 1});
    });
    require_refused(
        result,
        "the peer broke the protocol: END with a payload of 65537 bytes, the limit is 65536");
}

TEST_CASE("a second END is refused") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.end(good_root());
        source.end(good_root());
    });
    require_refused(result, "the peer broke the protocol: END where END was due");
}

TEST_CASE("what the source says when it gives up is told") {
    const Result result = meet([](HandmadeSource& source) {
        source.open_streams();
        source.send_control(FrameType::error, encode(Error("the disk \x1b[2Jis gone")));
    });
    CHECK(result.message == "the source reports: the disk ?[2Jis gone");
}

} // namespace coldspare::clone
