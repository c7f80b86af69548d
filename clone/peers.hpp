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

/// A control frame as it came, or as it will go.
struct Message {
    FrameType type = FrameType::hello;
    std::string payload;
    Range range{}; ///< bytes of disk that it speaks of (HASHES, WANT); its length is below 4 GiB

    [[nodiscard]] FrameHeader header() const;
};

/// Sends a frame without disk data.
void send_message(Channel& channel, const Message& message, std::stop_token stop);
inline void send_message(Channel& channel, FrameType type, std::string_view payload,
                         std::stop_token stop) {
    send_message(channel, {type, std::string(payload)}, std::move(stop));
}

/// Receives one, with its limits. Throws Error; ERROR frames are returned like any other.
[[nodiscard]] Message receive_message(Channel& channel, std::stop_token stop);

/// Called from other threads with a line for the operator, e.g. about a stranger turned away.
using Notice = std::function<void(std::string_view)>;

/// Opens the connections of a session, whichever side listens, and of the sessions after it when
/// the connection was lost. HELLOs are exchanged here.
class Peers {
public:
    virtual ~Peers() = default;

    /// Blocks until the peer is there; then `agreement` is what both can. A peer that was there
    /// before has `retry_for` to come back: then Error with status 3.
    struct Control {
        Channel channel;
        Agreement agreement;
        Hello theirs;
    };
    [[nodiscard]] virtual Control open_control(const Hello& ours, std::stop_token stop) = 0;

    /// The data connection with this number. Throws Error if it does not come within 30 s.
    [[nodiscard]] virtual Channel open_data(const Hello& ours, std::stop_token stop) = 0;
};

/// Connects to a listening peer. While nobody listens there, tries again for `retry_for`.
[[nodiscard]] std::unique_ptr<Peers>
connecting_peers(Address address, Security security, std::chrono::seconds retry_for, Notice notice);

/// Listens, from now on until it is destroyed. Connections that fail the handshake or do not fit
/// are reported to `notice` and turned away; the first peer is waited for as long as it takes. Who
/// comes during a session waits until it has ended.
[[nodiscard]] std::unique_ptr<Peers> listening_peers(Listener listener, Security security,
                                                     std::chrono::seconds retry_for, Notice notice);

} // namespace coldspare::clone
