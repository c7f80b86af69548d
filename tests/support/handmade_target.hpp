#pragma once

#include "tests/support/loopback.hpp"

#include <memory>
#include <string>
#include <vector>

/// A target whose frames are written by hand, for what receive_disk() never does.
namespace coldspare::clone::handmade {

class HandmadeTarget {
public:
    explicit HandmadeTarget(const Address& address)
        : peers_(connecting_peers(address, {}, std::chrono::seconds(5), [](std::string_view) {})),
          control_(peers_->open_control(
              {.program = "by hand", .role = Role::target, .streams = 1, .features = {"zstd"}},
              {})) {}

    /// Plans one stream and opens it.
    void open_stream(CopyMode mode) {
        disk_ = parse_disk(next_message().payload);
        const PlanMessage plan{std::string(32, 'a'), 1, mode};
        send_message(control_.channel, FrameType::plan, encode(plan), {});
        static_cast<void>(next_message()); // READY
        stream_.push_back(peers_->open_data({.role = Role::target,
                                             .kind = ConnectionKind::data,
                                             .session = plan.session,
                                             .stream = 0},
                                            {}));
    }
    void send(const Message& message) { send_message(control_.channel, message, {}); }
    void send_header(const FrameHeader& header) { control_.channel.send(encode(header), {}); }

    /// HASHES for `range` with this many bytes of leaves, none of which fits.
    void tell(Range range, std::size_t bytes = 0) {
        send({FrameType::hashes, std::string(bytes, 'x'), range});
    }

    /// Takes the frames of the stream until STREAM_END; their payloads are left out.
    std::vector<FrameHeader> frames() {
        std::vector<FrameHeader> all;
        for (;;) {
            std::array<std::byte, header_size> bytes;
            stream_.front().receive(bytes, {});
            all.push_back(decode(bytes));
            if (all.back().type == FrameType::stream_end) {
                return all;
            }
            std::vector<std::byte> payload(all.back().wire_length);
            stream_.front().receive(payload, {});
        }
    }

    /// The next message of the other side that is not a heartbeat.
    Message next_message() { return coldspare::clone::next_message(control_.channel); }

private:
    std::unique_ptr<Peers> peers_;
    Peers::Control control_;
    DiskMessage disk_;
    std::vector<Channel> stream_;
};

} // namespace coldspare::clone::handmade
