#include "clone/channel.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/handle.hpp"
#include "clone/tcp_rate.hpp"
#include "clone/tls.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

namespace coldspare::clone {

namespace {

// How long a socket call may block before the stop token is looked at.
constexpr timeval slice{.tv_sec = 0, .tv_usec = 250'000};
constexpr int slice_ms = 250;
// A finished session waits for the end of one of these.
constexpr int accept_slice_ms = 20;

/// A dead host must be noticed also while nothing is sent: keep-alive, and a limit for unacked
/// data.
void tune(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    const int idle = 15;
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof idle);
    const int user_timeout_ms = 60'000;
    ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &slice, sizeof slice);
}

} // namespace

struct Channel::Connection {
    Fd fd;
    std::string peer;
    std::optional<Tls> tls;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::optional<TimePoint> deadline;
    bool broken = false;

    template <typename Io>
    auto attempt(Io io) {
        try {
            return io();
        } catch (const Error&) {
            broken = true;
            throw;
        }
    }

    /// Between two slices of waiting.
    void check(const std::stop_token& stop) const {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        if (deadline && Clock::now() > *deadline) {
            throw Error(fmt::format("{} did not answer in time", peer), {}, ExitStatus::incomplete);
        }
    }

    void start_tls(Tls::Side side, const Security& security, const std::stop_token& stop) {
        tls.emplace(fd.get(), peer, side, security);
        bool done = false;
        while (!done) {
            check(stop);
            try {
                done = tls->shake_hands();
            } catch (const Error&) {
                wait_for_the_end(stop);
                throw;
            }
        }
    }

    /// TLS has told the peer why. Closing while something of the peer's is unread would reset the
    /// connection, and the reason might be lost with it: read until the peer closes, for up to 1 s.
    void wait_for_the_end(const std::stop_token& stop) const {
        ::shutdown(fd.get(), SHUT_WR);
        const TimePoint give_up = Clock::now() + std::chrono::seconds(1);
        std::array<std::byte, 4096> unread;
        while (!stop.stop_requested() && Clock::now() < give_up) {
            const ssize_t got = ::recv(fd.get(), unread.data(), unread.size(), 0);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                return;
            }
        }
    }

    /// One attempt to read. 0: nothing yet.
    std::size_t read_some(std::span<std::byte> into) {
        if (tls) {
            return tls->read_some(into);
        }
        const ssize_t got = ::recv(fd.get(), into.data(), into.size(), 0);
        if (got > 0) {
            return static_cast<std::size_t>(got);
        }
        if (got == 0) {
            throw closed_by(peer);
        }
        if (errno == EAGAIN || errno == EINTR) {
            return 0;
        }
        throw system_error(fmt::format("the connection with {} broke", peer), errno);
    }

    /// One attempt to write, from the front of `pieces`.
    void write_some(Pieces& pieces) {
        if (tls) {
            tls->write_some(pieces);
            return;
        }
        std::array<iovec, 64> parts{};
        msghdr message{};
        message.msg_iov = parts.data();
        const auto add = [&](std::span<const std::byte> piece) {
            parts[message.msg_iovlen++] = {const_cast<std::byte*>(piece.data()), piece.size()};
        };
        add(pieces.front());
        for (const std::span<const std::byte> piece : pieces.behind()) {
            if (message.msg_iovlen == parts.size()) {
                break;
            }
            add(piece);
        }
        const ssize_t put = ::sendmsg(fd.get(), &message, MSG_NOSIGNAL);
        if (put >= 0) {
            pieces.skip(static_cast<std::size_t>(put));
        } else if (errno != EAGAIN && errno != EINTR) {
            throw system_error(fmt::format("the connection with {} broke", peer), errno);
        }
    }
};

Channel::Channel(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&&) noexcept = default;

Channel::~Channel() = default;

void Channel::secure(const Security& security, std::stop_token stop) {
    if (security) {
        connection_->deadline = Clock::now() + std::chrono::seconds(10);
        connection_->start_tls(Tls::Side::client, security, stop);
        connection_->deadline.reset();
    }
}

Channel Channel::connect(const Address& address, std::stop_token stop) {
    const AddressList list = resolve(address, AddressUse::connect);
    int last_error = 0;
    for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
        Fd fd(::socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd) {
            last_error = errno;
            continue;
        }
        if (::connect(fd.get(), entry->ai_addr, entry->ai_addrlen) != 0 && errno != EINPROGRESS) {
            last_error = errno;
            continue;
        }
        const TimePoint give_up = Clock::now() + std::chrono::seconds(10);
        pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
        while (::poll(&wait, 1, slice_ms) <= 0 && Clock::now() < give_up) {
            if (stop.stop_requested()) {
                throw interrupted();
            }
        }
        socklen_t length = sizeof last_error;
        ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &last_error, &length);
        if (wait.revents == 0) {
            last_error = ETIMEDOUT;
        }
        if (last_error != 0) {
            continue;
        }
        ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
        tune(fd.get());
        auto connection = std::make_unique<Connection>();
        connection->fd = std::move(fd);
        connection->peer = address.text();
        return Channel(std::move(connection));
    }
    throw system_error(fmt::format("cannot connect to {}", address.text()), last_error,
                       "is the other side listening there, and does a firewall let it through?");
}

void Channel::send(std::span<const std::byte> bytes, std::stop_token stop) {
    send(std::span(&bytes, 1), std::move(stop));
}

void Channel::send(std::span<const std::span<const std::byte>> pieces, std::stop_token stop) {
    Pieces rest(pieces);
    while (!rest.empty() || (connection_->tls && connection_->tls->unsent())) {
        connection_->check(stop);
        const std::size_t before = rest.size();
        connection_->attempt([&] { connection_->write_some(rest); });
        connection_->sent += before - rest.size();
    }
}

std::optional<double> Channel::delivery_rate() const {
    return tcp_delivery_rate(connection_->fd.get());
}

void Channel::receive(std::span<std::byte> into, std::stop_token stop) {
    while (!into.empty()) {
        connection_->check(stop);
        const std::size_t got = connection_->attempt([&] { return connection_->read_some(into); });
        connection_->received += got;
        into = into.subspan(got);
    }
}

bool Channel::broken() const {
    return connection_->broken;
}

bool Channel::readable(std::chrono::milliseconds wait) {
    if (connection_->tls && connection_->tls->pending()) {
        return true;
    }
    pollfd waiting{.fd = connection_->fd.get(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, static_cast<int>(wait.count())) > 0;
}

void Channel::renew_key_every(std::uint64_t bytes) {
    if (connection_->tls) {
        connection_->tls->renew_key_every(bytes);
    }
}
KeyUpdates Channel::key_updates() const {
    return connection_->tls ? connection_->tls->key_updates() : KeyUpdates();
}
void Channel::set_deadline(std::optional<TimePoint> deadline) {
    connection_->deadline = deadline;
}
std::uint64_t Channel::bytes_sent() const {
    return connection_->sent;
}
std::uint64_t Channel::bytes_received() const {
    return connection_->received;
}
const std::string& Channel::peer() const {
    return connection_->peer;
}

// --- listening ---------------------------------------------------------------------------------

struct Listener::Socket {
    Fd fd;
};

Listener::~Listener() = default;
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;

Listener::Listener(const Address& address) : socket_(std::make_unique<Socket>()) {
    const AddressList list = resolve(address, AddressUse::listen);
    int last_error = 0;
    // "Every address" comes as 0.0.0.0 and ::; the IPv6 socket takes both.
    for (const int family : {AF_INET6, AF_INET}) {
        for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
            if (entry->ai_family != family || socket_->fd) {
                continue;
            }
            Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            const int on = 1;
            const int off = 0;
            ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            if (family == AF_INET6) {
                ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
            }
            if (::bind(fd.get(), entry->ai_addr, entry->ai_addrlen) != 0 ||
                ::listen(fd.get(), 64) != 0) {
                last_error = errno;
                continue;
            }
            socket_->fd = std::move(fd);
        }
    }
    if (!socket_->fd) {
        throw system_error(fmt::format("cannot listen on {}", address.text()), last_error,
                           "choose a free port and an address of this machine");
    }
}

Address Listener::address() const {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    ::getsockname(socket_->fd.get(), reinterpret_cast<sockaddr*>(&storage), &length);
    return address_of(storage, length);
}

std::optional<Listener::Pending> Listener::accept(std::stop_token stop) {
    if (stop.stop_requested()) {
        throw interrupted();
    }
    pollfd wait{.fd = socket_->fd.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, accept_slice_ms) <= 0) {
        return std::nullopt;
    }
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    Fd fd(
        ::accept4(socket_->fd.get(), reinterpret_cast<sockaddr*>(&storage), &length, SOCK_CLOEXEC));
    if (!fd) {
        // Out of descriptors, or the newcomer left: without a pause this would be asked in a
        // circle.
        ::poll(nullptr, 0, accept_slice_ms);
        return std::nullopt;
    }
    tune(fd.get());
    auto connection = std::make_unique<Channel::Connection>();
    connection->fd = std::move(fd);
    connection->peer = address_of(storage, length).text();
    return Pending(std::move(connection));
}

Listener::Pending::Pending(std::unique_ptr<Channel::Connection> connection)
    : connection_(std::move(connection)) {}
Listener::Pending::Pending(Pending&&) noexcept = default;
Listener::Pending::~Pending() = default;
const std::string& Listener::Pending::peer() const {
    return connection_->peer;
}

Channel Listener::Pending::handshake(const Security& security, TimePoint deadline,
                                     std::stop_token stop) {
    connection_->deadline = deadline;
    if (security) {
        connection_->start_tls(Tls::Side::server, security, stop);
    }
    return Channel(std::move(connection_));
}

} // namespace coldspare::clone
