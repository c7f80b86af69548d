#include "clone/channel.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/handle.hpp"
#include "clone/digest.hpp"
#include "clone/tcp_rate.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace coldspare::clone {

namespace {

// How long a socket call may block before the stop token is looked at.
constexpr timeval slice{.tv_sec = 0, .tv_usec = 250'000};
constexpr int slice_ms = 250;
// A finished session waits for the end of one of these.
constexpr int accept_slice_ms = 20;

using AddressList = Handle<addrinfo, freeaddrinfo>;

AddressList resolve(const Address& address, AddressUse use) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = use == AddressUse::listen ? AI_PASSIVE : AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    const int code = ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                                   address.port.c_str(), &hints, &list);
    if (code != 0) {
        throw Error(fmt::format("cannot resolve '{}': {}", address.text(), ::gai_strerror(code)),
                    "check the name, or use the address itself");
    }
    return AddressList(list);
}

std::string name_of(const sockaddr_storage& storage, socklen_t length) {
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&storage), length, host.data(), host.size(),
                      port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return "an unknown address";
    }
    return Address{host.data(), port.data()}.text();
}

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

// --- TLS ---------------------------------------------------------------------------------------

constexpr std::string_view psk_identity = "coldspare-token-1";
// The external PSK is bound to SHA-256; a suite with another hash fails the handshake.
constexpr const char* cipher_suites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

Sha256 psk_of(const Token& token) {
    constexpr std::string_view prefix = "coldspare pairing token 1\n";
    std::array<std::byte, prefix.size() + std::tuple_size_v<Token>> input{};
    std::memcpy(input.data(), prefix.data(), prefix.size());
    std::memcpy(input.data() + prefix.size(), token.data(), token.size());
    return sha256(input);
}

/// The session object that carries the PSK into OpenSSL (SSL_CTX_set_psk_use_session_callback(3)).
SSL_SESSION* psk_session(SSL* ssl, const Sha256& psk) {
    constexpr std::array<unsigned char, 2> aes_128_gcm_sha256{0x13, 0x01};
    const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256.data());
    Handle<SSL_SESSION, SSL_SESSION_free> session(SSL_SESSION_new());
    if (cipher == nullptr || !session ||
        SSL_SESSION_set1_master_key(
            session.get(), reinterpret_cast<const unsigned char*>(psk.data()), psk.size()) != 1 ||
        SSL_SESSION_set_cipher(session.get(), cipher) != 1 ||
        SSL_SESSION_set_protocol_version(session.get(), TLS1_3_VERSION) != 1) {
        return nullptr;
    }
    return session.release();
}

const Sha256& psk_of(SSL* ssl) {
    return *static_cast<const Sha256*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

extern "C" {

int coldspare_use_psk(SSL* ssl, const EVP_MD*, const unsigned char** identity, std::size_t* length,
                      SSL_SESSION** session) {
    *identity = reinterpret_cast<const unsigned char*>(psk_identity.data());
    *length = psk_identity.size();
    *session = psk_session(ssl, psk_of(ssl));
    return *session != nullptr ? 1 : 0;
}

int coldspare_find_psk(SSL* ssl, const unsigned char* identity, std::size_t length,
                       SSL_SESSION** session) {
    *session = nullptr;
    const std::string_view asked(reinterpret_cast<const char*>(identity), length);
    if (asked == psk_identity) {
        *session = psk_session(ssl, psk_of(ssl));
    }
    return 1;
}

} // extern "C"

using Context = Handle<SSL_CTX, SSL_CTX_free>;

enum class Side { client, server };

/// One context per connection: OpenSSL 3.0 locks what a context shares between connections.
Context make_context(Side side, const Sha256& psk) {
    Context context(SSL_CTX_new(side == Side::client ? TLS_client_method() : TLS_server_method()));
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context.get(), cipher_suites) != 1) {
        throw Error("cannot set up TLS 1.3: OpenSSL refuses its cipher suites",
                    "check the system's OpenSSL policy (openssl.cnf)");
    }
    SSL_CTX_set_app_data(context.get(), const_cast<Sha256*>(&psk));
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // A peer that just goes away is not a fault of TLS; success is DONE, never the end of the
    // stream.
    SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_default_read_buffer_len(context.get(), 256 * 1024);
    SSL_CTX_set_read_ahead(context.get(), 1);
    if (side == Side::client) {
        // A server may answer the offered key with a certificate instead; none is ever trusted.
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_psk_use_session_callback(context.get(), coldspare_use_psk);
    } else {
        SSL_CTX_set_psk_find_session_callback(context.get(), coldspare_find_psk);
    }
    return context;
}

/// OpenSSL's reason in words that say what to do about it.
std::string tls_reason() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    switch (ERR_GET_REASON(code)) {
    case SSL_R_BINDER_DOES_NOT_VERIFY:
    case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
        return "the two sides have different tokens";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
        return "what it sent is not TLS";
    default:
        break;
    }
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return reason != nullptr ? reason : "it closed the connection";
}

} // namespace

// --- addresses ---------------------------------------------------------------------------------

std::string Address::text() const {
    if (host.find(':') != std::string::npos) {
        return fmt::format("[{}]:{}", host, port);
    }
    return fmt::format("{}:{}", host.empty() ? "*" : host, port);
}

Address parse_address(std::string_view text, AddressUse use) {
    const auto complain = [&] {
        return usage_error(fmt::format("'{}' is not an address", text),
                           use == AddressUse::listen
                               ? "write PORT, ADDRESS:PORT or [IPV6]:PORT, for example 10000"
                               : "write HOST:PORT or [IPV6]:PORT, for example 192.0.2.10:10000");
    };
    Address address;
    std::string_view port = text;
    if (text.starts_with('[')) {
        const std::size_t end = text.find("]:");
        if (end == std::string_view::npos) {
            throw complain();
        }
        address.host = text.substr(1, end - 1);
        port = text.substr(end + 2);
    } else if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
        address.host = text.substr(0, colon);
        port = text.substr(colon + 1);
    }
    const bool digits = !port.empty() && port.size() <= 5 &&
                        port.find_first_not_of("0123456789") == std::string_view::npos;
    const unsigned long number = digits ? std::stoul(std::string(port)) : 65536;
    const bool bare_v6 = !text.starts_with('[') && address.host.find(':') != std::string::npos;
    const bool unreachable = use == AddressUse::connect && (address.host.empty() || number == 0);
    if (number > 65535 || bare_v6 || unreachable) {
        throw complain();
    }
    address.port = port;
    return address;
}

// --- connections -------------------------------------------------------------------------------

struct Channel::Connection {
    Fd fd;
    std::string peer;
    Sha256 psk{};
    Context context;
    Handle<SSL, SSL_free> ssl;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::optional<TimePoint> deadline;
    bool broken = false;

    template <typename Io>
    std::size_t attempt(Io io) {
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

    void start_tls(Side side, const Token& token, const std::stop_token& stop) {
        psk = psk_of(token);
        context = make_context(side, psk);
        ssl.reset(SSL_new(context.get()));
        if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) {
            throw Error("cannot set up TLS: out of memory");
        }
        for (;;) {
            check(stop);
            ERR_clear_error();
            const int done = side == Side::client ? SSL_connect(ssl.get()) : SSL_accept(ssl.get());
            if (done == 1) {
                require_psk();
                return;
            }
            const int why = SSL_get_error(ssl.get(), done);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
                throw Error(fmt::format("no secure connection with {}: {}", peer, tls_reason()),
                            "both sides need the same token, and both TLS (no --insecure)");
            }
        }
    }

    /// The handshake counts only if both sides proved that they know the token: an external PSK
    /// that was accepted is a resumed session to OpenSSL.
    void require_psk() const {
        if (SSL_session_reused(ssl.get()) != 1) {
            throw Error(fmt::format("{} did not prove that it knows the token", peer),
                        "somebody else answers there: check the address and the network");
        }
    }

    /// One attempt to read. 0: nothing yet.
    std::size_t read_some(std::span<std::byte> into) {
        if (ssl) {
            std::size_t got = 0;
            ERR_clear_error();
            if (SSL_read_ex(ssl.get(), into.data(), into.size(), &got) == 1) {
                return got;
            }
            const int saved = errno;
            const int why = SSL_get_error(ssl.get(), 0);
            if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
                return 0;
            }
            if (why == SSL_ERROR_SYSCALL && saved != 0) {
                throw system_error(fmt::format("the connection with {} broke", peer), saved);
            }
            if (why == SSL_ERROR_SSL) {
                throw Error(fmt::format("the connection with {} broke: {}", peer, tls_reason()),
                            "both sides need the same token");
            }
            throw closed();
        }
        const ssize_t got = ::recv(fd.get(), into.data(), into.size(), 0);
        if (got > 0) {
            return static_cast<std::size_t>(got);
        }
        if (got == 0) {
            throw closed();
        }
        if (errno == EAGAIN || errno == EINTR) {
            return 0;
        }
        throw system_error(fmt::format("the connection with {} broke", peer), errno);
    }

    /// One attempt to write. 0: nothing yet.
    std::size_t write_some(std::span<const std::byte> bytes) {
        if (ssl) {
            std::size_t put = 0;
            ERR_clear_error();
            if (SSL_write_ex(ssl.get(), bytes.data(), bytes.size(), &put) == 1) {
                return put;
            }
            const int saved = errno;
            const int why = SSL_get_error(ssl.get(), 0);
            if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
                return 0;
            }
            throw system_error(fmt::format("the connection with {} broke", peer),
                               saved != 0 ? saved : EPIPE);
        }
        const ssize_t put = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (put >= 0) {
            return static_cast<std::size_t>(put);
        }
        if (errno == EAGAIN || errno == EINTR) {
            return 0;
        }
        throw system_error(fmt::format("the connection with {} broke", peer), errno);
    }

    [[nodiscard]] Error closed() const {
        return Error(fmt::format("{} closed the connection", peer),
                     "see what the other side says; both must use TLS, or both --insecure");
    }
};

Channel::Channel(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&&) noexcept = default;

Channel::~Channel() {
    if (connection_ && connection_->ssl) {
        ERR_clear_error();
        static_cast<void>(SSL_shutdown(connection_->ssl.get()));
    }
}

void Channel::secure(const Security& security, std::stop_token stop) {
    if (security) {
        connection_->deadline = Clock::now() + std::chrono::seconds(10);
        connection_->start_tls(Side::client, *security, stop);
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
    while (!bytes.empty()) {
        connection_->check(stop);
        const std::size_t put =
            connection_->attempt([&] { return connection_->write_some(bytes); });
        connection_->sent += put;
        bytes = bytes.subspan(put);
    }
}

void Channel::send(std::span<const std::span<const std::byte>> pieces, std::stop_token stop) {
    for (const std::span<const std::byte> piece : pieces) {
        send(piece, stop);
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
    // With read-ahead, bytes that TLS has taken from the socket are no longer seen by poll(2).
    if (connection_->ssl && SSL_has_pending(connection_->ssl.get()) != 0) {
        return true;
    }
    pollfd waiting{.fd = connection_->fd.get(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, static_cast<int>(wait.count())) > 0;
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
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    ::getnameinfo(reinterpret_cast<sockaddr*>(&storage), length, host.data(), host.size(),
                  port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV);
    return {host.data(), port.data()};
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
    connection->peer = name_of(storage, length);
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
        connection_->start_tls(Side::server, *security, stop);
    }
    return Channel(std::move(connection_));
}

} // namespace coldspare::clone
