// A source against a target that breaks the protocol: a clear Error on both sides, and nothing is
// read or sent that was not in the plan.
#include "tests/support/handmade_target.hpp"
#include "tests/support/session.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

namespace coldspare::clone {

using handmade::HandmadeTarget;

namespace {

constexpr std::uint32_t block_size = 4096;
constexpr std::uint64_t disk_size = 4 * block_size + 100;

struct Result {
    std::string message; ///< the source's Error, or empty
    std::string told;    ///< its ERROR frame's message, or the name of its last frame
};

/// A source that meets a target that does `mischief`.
Result meet(const std::function<void(HandmadeTarget&)>& mischief) {
    Listener listener = loopback_listener();
    const Address address = listener.address();
    const auto peers =
        listening_peers(std::move(listener), {}, std::chrono::seconds(0), [](std::string_view) {});
    std::vector<std::byte> content(disk_size);
    fill_pattern(content, 0);
    MemoryDisk disk(std::move(content));
    Result result;
    std::jthread source([&] {
        try {
            static_cast<void>(run_source(disk, *peers, {.streams = 1, .block_size = block_size}));
        } catch (const Error& error) {
            result.message = error.message();
        }
    });
    std::string told;
    {
        HandmadeTarget target(address);
        try {
            mischief(target);
        } catch (const Error&) {
            // The source may close a connection while we are still sending on it.
        }
        try {
            const Message last = target.next_message();
            told = last.type == FrameType::error ? parse_error(last.payload, "source").message()
                                                 : frame_name(last.type);
        } catch (const Error&) {
            told = "nothing";
        }
    }
    source.join();
    result.told = told;
    return result;
}

void require_refused(const Result& result, std::string_view message) {
    CHECK(result.message == message);
    CHECK(result.told == fmt::format("the source reports: {}", message));
}

} // namespace

TEST_CASE("a target made by hand that tells of all blocks gets them all") {
    std::vector<FrameHeader> frames;
    const Result result = meet([&](HandmadeTarget& target) {
        target.open_stream(CopyMode::resume);
        target.tell({0, 2 * block_size}, 32);
        target.tell({2 * block_size, disk_size - 2 * block_size});
        frames = target.frames();
        const Message end = target.next_message();
        target.send({FrameType::done, encode(parse_root(end.payload))});
    });
    CHECK(result.message.empty());
    REQUIRE(frames.size() == 6);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(frames[i].type == FrameType::data);
        CHECK(frames[i].offset == i * block_size);
    }
}

TEST_CASE("HASHES that do not follow each other, or leave the disk, are refused") {
    struct Row {
        std::string_view message;
        std::function<void(HandmadeTarget&)> mischief;
    };
    const std::vector<Row> table{
        {"HASHES for 4096 where 0 was due",
         [](HandmadeTarget& target) {
             target.tell({block_size, block_size}, 16);
         }},
        {"HASHES for 0 where 4096 was due",
         [](HandmadeTarget& target) {
             target.tell({0, block_size}, 16);
             target.tell({0, block_size}, 16);
         }},
        {"HASHES for 8192 where 4096 was due",
         [](HandmadeTarget& target) {
             target.tell({0, block_size});
             target.tell({2 * block_size, block_size});
         }},
        {"HASHES frame for 20480 bytes at 0 on a disk of 16484 bytes",
         [](HandmadeTarget& target) {
             target.tell({0, 5 * block_size}, 80);
         }},
        {"HASHES frame for 4096 bytes at 20480 on a disk of 16484 bytes",
         [](HandmadeTarget& target) {
             target.tell({5 * block_size, block_size});
         }},
        {"HASHES frame for 0 bytes at 0 on a disk of 16484 bytes",
         [](HandmadeTarget& target) {
             target.tell({0, 0});
         }},
        {"HASHES frame for 512 bytes at 0 off the block boundaries",
         [](HandmadeTarget& target) {
             target.tell({0, 512}, 16);
         }},
        {"HASHES frame for 8192 bytes at 0 with a payload of 16 bytes",
         [](HandmadeTarget& target) {
             target.tell({0, 2 * block_size}, 16);
         }},
        {"HASHES frame for 4096 bytes at 0 with a payload of 17 bytes",
         [](HandmadeTarget& target) {
             target.tell({0, block_size}, 17);
         }},
        {"HASHES with a payload of 1048577 bytes, the limit is 1048576",
         [](HandmadeTarget& target) {
             target.send_header({.type = FrameType::hashes,
                                 .raw_length = block_size,
                                 .wire_length = 1024 * 1024 + 1});
         }},
        {"SUBHASHES frame for 4096 bytes at 0 with a payload of 2 bytes",
         [](HandmadeTarget& target) { // Blocks of 4 KiB have no parts.
             target.send({FrameType::subhashes, "xx", {0, block_size}});
         }},
        {"CREDIT while the copy goes on",
         [](HandmadeTarget& target) {
             target.send({FrameType::credit, std::string(8, 'x')});
         }},
        {"WANT while the copy goes on",
         [](HandmadeTarget& target) {
             target.send({FrameType::want, {}, {0, block_size}});
         }},
        {"DONE while the copy goes on",
         [](HandmadeTarget& target) {
             target.send({FrameType::done, encode(RootMessage{std::string(64, 'a'), 0})});
         }},
        {"DURABLE: not two numbers",
         [](HandmadeTarget& target) {
             target.send({FrameType::durable, std::string(15, 'x')});
         }},
    };
    for (const Row& row : table) {
        CAPTURE(row.message);
        require_refused(meet([&](HandmadeTarget& target) {
                            target.open_stream(CopyMode::resume);
                            row.mischief(target);
                        }),
                        fmt::format("the peer broke the protocol: {}", row.message));
    }
}

TEST_CASE("HASHES that were not asked for are refused") {
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{4 * block_size}}) {
        CAPTURE(offset);
        require_refused(
            meet([&](HandmadeTarget& target) {
                target.open_stream(CopyMode::full);
                static_cast<void>(target.frames());
                static_cast<void>(target.next_message()); // END
                target.tell({offset, offset == 0 ? block_size : 100U}, 16);
            }),
            fmt::format("the peer broke the protocol: HASHES for {} where 16484 was due", offset));
    }
}

TEST_CASE("what a target wants again must lie on the disk, in whole blocks") {
    struct Row {
        std::string_view message;
        Range range;
        std::string payload;
    };
    for (const Row& row : std::vector<Row>{
             {"WANT frame for 4096 bytes at 20480 on a disk of 16484 bytes", {20480, 4096}, {}},
             {"WANT frame for 0 bytes at 0 on a disk of 16484 bytes", {0, 0}, {}},
             {"WANT frame for 4096 bytes at 512 off the block boundaries", {512, 4096}, {}},
             {"WANT frame for 4096 bytes at 0 with a payload of 16 bytes",
              {0, 4096},
              std::string(16, 'x')}}) {
        CAPTURE(row.message);
        require_refused(meet([&](HandmadeTarget& target) {
                            target.open_stream(CopyMode::full);
                            static_cast<void>(target.frames());
                            static_cast<void>(target.next_message()); // END
                            target.send({FrameType::want, row.payload, row.range});
                        }),
                        fmt::format("the peer broke the protocol: {}", row.message));
    }
}

} // namespace coldspare::clone
