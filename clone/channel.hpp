#pragma once

#include "clone/address.hpp"
#include "clone/security.hpp"
#include "clone/tls.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

namespace coldspare::clone {

/// One TCP connection, with TLS 1.3 or without (docs/PROTOCOL.md 2). Blocking; every call returns
/// within 250 ms of a stop being asked for, by throwing interrupted(). One thread at a time.
class Channel {
public:
    Channel(Channel&&) noexcept;
    Channel& operator=(Channel&&) noexcept;
    ~Channel();

    /// Connects by TCP, within 10 s. Throws Error.
    [[nodiscard]] static Channel connect(const Address& address, std::stop_token stop);

    /// The TLS handshake as client, if `security` asks for TLS. Throws Error.
    void secure(const Security& security, std::stop_token stop);

    /// Sends all bytes. Throws Error if the peer is gone.
    void send(std::span<const std::byte> bytes, std::stop_token stop);

    /// Sends the pieces one after the other, in as few system calls as can be: nothing is copied on
    /// plain TCP.
    void send(std::span<const std::span<const std::byte>> pieces, std::stop_token stop);

    /// Fills `into`. Throws Error if the connection ends first.
    void receive(std::span<std::byte> into, std::stop_token stop);

    /// Whether a byte can be had within about `wait`; true also at the end of the stream.
    [[nodiscard]] bool readable(std::chrono::milliseconds wait);

    /// Calls after this deadline fail with Error; none by default.
    void set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline);

    /// Whether an error of the connection itself was thrown: the cause may be told on another one.
    [[nodiscard]] bool broken() const;

    /// Bytes sent and received so far, as given to TCP without TLS's own.
    [[nodiscard]] std::uint64_t bytes_sent() const;
    [[nodiscard]] std::uint64_t bytes_received() const;

    /// What the connection carries at most, in bytes a second, as TCP measured it lately; nothing
    /// before it could (tcp_info: tcpi_delivery_rate).
    [[nodiscard]] std::optional<double> delivery_rate() const;
    /// Renews the key for sending after so many bytes instead of 64 GiB: for tests. Nothing without
    /// TLS.
    void renew_key_every(std::uint64_t bytes);
    [[nodiscard]] KeyUpdates key_updates() const;

    /// "192.0.2.7:40312".
    [[nodiscard]] const std::string& peer() const;

    /// Implementation, shared with Listener.
    struct Connection;
    explicit Channel(std::unique_ptr<Connection> connection);

private:
    std::unique_ptr<Connection> connection_;
};

/// A listening socket.
class Listener {
public:
    /// Binds and listens. Throws Error.
    explicit Listener(const Address& address);
    ~Listener();
    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;

    /// Where it listens, with the port that the system chose if it was asked for 0.
    [[nodiscard]] Address address() const;

    /// An accepted socket whose handshake is still to be done, by the thread that will wait for it.
    class Pending {
    public:
        explicit Pending(std::unique_ptr<Channel::Connection> connection);
        Pending(Pending&&) noexcept;
        ~Pending();
        [[nodiscard]] const std::string& peer() const;
        /// The TLS handshake, as server. Throws Error.
        [[nodiscard]] Channel handshake(const Security& security,
                                        std::chrono::steady_clock::time_point deadline,
                                        std::stop_token stop);

    private:
        std::unique_ptr<Channel::Connection> connection_;
    };

    /// The next connection, or nothing within about 20 ms. Throws interrupted() on stop.
    [[nodiscard]] std::optional<Pending> accept(std::stop_token stop);

private:
    struct Socket;
    std::unique_ptr<Socket> socket_;
};

} // namespace coldspare::clone
