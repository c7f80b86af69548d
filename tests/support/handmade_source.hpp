#pragma once

#include "base/files.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/loopback.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// A source whose frames are written by hand, for what send_disk() never does.
namespace coldspare::clone::handmade {

inline constexpr std::uint32_t block_size = 4096;
inline constexpr std::uint64_t disk_size = 4 * block_size + 100;
inline constexpr Geometry geometry{disk_size, block_size};

inline std::vector<std::byte> block_at(std::uint64_t offset) {
    std::vector<std::byte> block(geometry.length_at(offset));
    fill_pattern(block, offset);
    return block;
}

/// The root of its disk.
inline std::string good_root() {
    std::vector<Leaf> leaves;
    for (std::uint64_t at = 0; at < disk_size; at += block_size) {
        leaves.push_back(hash_block(block_at(at)));
    }
    return hex(root_of(geometry, leaves));
}

/// A source whose frames are written by hand, after an orderly opening.
class HandmadeSource {
public:
    explicit HandmadeSource(const Address& address,
                            std::vector<std::string> features = {"zstd", "inventory"})
        : peers_(connecting_peers(address, {}, std::chrono::seconds(5), [](std::string_view) {})),
          control_(peers_->open_control({.program = "by hand",
                                         .role = Role::source,
                                         .streams = 2,
                                         .features = std::move(features)},
                                        {})) {}

    void send_disk_message() { send_disk_message({}); }
    /// The right DISK, but for what `disk` says already.
    void send_disk_message(DiskMessage disk) {
        disk.facts.name = "handmade";
        disk.facts.size = disk_size;
        disk.block_size = block_size;
        send_control(FrameType::disk, encode(disk));
    }

    void open_streams() {
        send_disk_message();
        const PlanMessage plan = parse_plan(next_message().payload);
        send_control(FrameType::ready, {});
        for (unsigned i = 0; i < plan.streams; ++i) {
            streams_.push_back(peers_->open_data({.role = Role::source,
                                                  .kind = ConnectionKind::data,
                                                  .session = plan.session,
                                                  .stream = i},
                                                 {}));
        }
    }

    void send_control(FrameType type, std::string_view payload) {
        send_message(control_.channel, type, payload, {});
    }
    void send_control_header(const FrameHeader& header) {
        control_.channel.send(encode(header), {});
    }

    /// The right frame for the block at `offset`, after `change`.
    template <typename Change>
    void send_block(std::uint64_t offset, Change change, unsigned stream = 0) {
        const std::vector<std::byte> block = block_at(offset);
        FrameHeader header{.type = FrameType::data,
                           .offset = offset,
                           .raw_length = static_cast<std::uint32_t>(block.size()),
                           .wire_length = static_cast<std::uint32_t>(block.size()),
                           .hash = hash_block(block)};
        change(header);
        streams_.at(stream).send(encode(header), {});
        streams_.at(stream).send(block, {});
    }
    void send_good_block(std::uint64_t offset, unsigned stream = 0) {
        send_block(
            offset, [](FrameHeader&) {}, stream);
    }
    void send_all_blocks() {
        for (std::uint64_t at = 0; at < disk_size; at += block_size) {
            send_good_block(at, at / block_size % 2);
        }
    }
    void send_frame(const FrameHeader& header, std::span<const std::byte> payload = {}) {
        streams_.at(0).send(encode(header), {});
        streams_.at(0).send(payload, {});
    }
    void send_raw(std::string_view bytes) { streams_.at(0).send(as_byte_span(bytes), {}); }
    void close_stream() { streams_.erase(streams_.begin()); }

    void end_streams() {
        for (Channel& stream : streams_) {
            stream.send(encode(FrameHeader{.type = FrameType::stream_end}), {});
        }
    }
    void end(const std::string& root) {
        send_control(FrameType::end, encode(RootMessage{root, 5}));
    }

    /// The next message of the other side that is not a heartbeat.
    Message next_message() { return coldspare::clone::next_message(control_.channel); }

private:
    std::unique_ptr<Peers> peers_;
    Peers::Control control_;
    std::vector<Channel> streams_;
};

} // namespace coldspare::clone::handmade
