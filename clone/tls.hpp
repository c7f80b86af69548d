#pragma once

#include "base/error.hpp"
#include "clone/pieces.hpp"
#include "clone/security.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace coldspare::clone {

/// How often the keys of a connection were renewed, for each direction.
struct KeyUpdates {
    unsigned sent = 0;
    unsigned received = 0;
};

/// TLS 1.3 on a connected socket (docs/PROTOCOL.md 2). Each call makes one attempt, which blocks
/// for as long as the socket's own timeouts say. One thread at a time.
class Tls {
public:
    enum class Side { client, server };

    /// `fd` must live longer. `peer` is for messages. `security` is a token or pinned keys.
    Tls(int fd, std::string peer, Side side, Security security);
    /// Says goodbye to the peer, if it can be said at once.
    ~Tls();

    /// Whether the handshake is done. Throws Error if it cannot be.
    [[nodiscard]] bool shake_hands();

    /// How many bytes were read; 0 if there is nothing yet. Throws Error.
    [[nodiscard]] std::size_t read_some(std::span<std::byte> into);

    /// Encrypts from the front of `pieces`, which lose what was taken, and makes one attempt to
    /// send it. What could not be sent yet goes first the next time. Throws Error.
    void write_some(Pieces& pieces);

    /// Whether something that was taken is still to be sent.
    [[nodiscard]] bool unsent() const;

    /// Whether bytes from the peer wait here, and no longer in the socket.
    [[nodiscard]] bool pending() const;

    /// Renews the key for sending after so many bytes instead of 64 GiB: for tests.
    void renew_key_every(std::uint64_t bytes);
    [[nodiscard]] KeyUpdates key_updates() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// What to say when the peer has closed the connection.
[[nodiscard]] Error closed_by(std::string_view peer);

} // namespace coldspare::clone
