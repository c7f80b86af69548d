#pragma once

#include "clone/channel.hpp"
#include "clone/messages.hpp"
#include "clone/wire.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

namespace coldspare::clone {

/// A control frame as it came.
struct Message {
    FrameType type = FrameType::hello;
    std::string payload;
};

/// Sends a frame without disk data. `payload` may be empty.
void send_message(Channel& channel, FrameType type, std::string_view payload, std::stop_token stop);

/// Receives one, with its limits. Throws Error; ERROR frames are returned like any other.
[[nodiscard]] Message receive_message(Channel& channel, std::stop_token stop);

/// Called from other threads with a line for the operator, e.g. about a stranger turned away.
using Notice = std::function<void(std::string_view)>;

/// Opens the connections of one session, whichever side listens. HELLOs are exchanged here.
class Peers {
public:
    virtual ~Peers() = default;

    /// Blocks until the peer is there; then `agreement` is what both can.
    struct Control {
        Channel channel;
        Agreement agreement;
        Hello theirs;
    };
    [[nodiscard]] virtual Control open_control(const Hello& ours, std::stop_token stop) = 0;

    /// The data connection with this number. Throws Error if it does not come within 30 s.
    [[nodiscard]] virtual Channel open_data(const Hello& ours, std::stop_token stop) = 0;

    /// The session has all its connections: stops listening, so that nobody waits in vain.
    virtual void close() = 0;
};

/// Connects to a listening peer. While nobody listens there, tries again for `retry_for`.
[[nodiscard]] std::unique_ptr<Peers>
connecting_peers(Address address, Security security, std::chrono::seconds retry_for, Notice notice);

/// Listens. Connections that fail the handshake or do not fit are reported to `notice` and turned
/// away; listening goes on until the right one comes.
[[nodiscard]] std::unique_ptr<Peers> listening_peers(Listener listener, Security security,
                                                     Notice notice);

} // namespace coldspare::clone
