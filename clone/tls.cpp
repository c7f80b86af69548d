#include "clone/tls.hpp"

#include "base/error.hpp"
#include "base/handle.hpp"
#include "clone/socket_buffer.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <variant>

namespace coldspare::clone {

namespace {

constexpr std::string_view psk_identity = "coldspare-token-1";
// The external PSK is bound to SHA-256; a suite with another hash fails the handshake.
constexpr const char* cipher_suites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

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

/// What the callbacks of a handshake need to know, and what they found.
struct Secrets {
    Security security;
    Sha256 psk{};                   ///< with a token
    std::optional<Fingerprint> met; ///< of the certificate that the peer showed

    [[nodiscard]] const Pinned* pinned() const { return std::get_if<Pinned>(&security.how); }
};

Secrets& secrets_of(SSL* ssl) {
    return *static_cast<Secrets*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

extern "C" {

int coldspare_use_psk(SSL* ssl, const EVP_MD*, const unsigned char** identity, std::size_t* length,
                      SSL_SESSION** session) {
    *identity = reinterpret_cast<const unsigned char*>(psk_identity.data());
    *length = psk_identity.size();
    *session = psk_session(ssl, secrets_of(ssl).psk);
    return *session != nullptr ? 1 : 0;
}

int coldspare_find_psk(SSL* ssl, const unsigned char* identity, std::size_t length,
                       SSL_SESSION** session) {
    *session = nullptr;
    const std::string_view asked(reinterpret_cast<const char*>(identity), length);
    if (asked == psk_identity) {
        *session = psk_session(ssl, secrets_of(ssl).psk);
    }
    return 1;
}

/// In place of the whole verification of a certificate: names, issuers and dates mean nothing. That
/// the peer has the private key is proved by its signature over the handshake.
int coldspare_check_pin(X509_STORE_CTX* store, void* secrets) {
    auto& known = *static_cast<Secrets*>(secrets);
    X509* certificate = X509_STORE_CTX_get0_cert(store);
    unsigned char* der = nullptr;
    const int length = certificate != nullptr ? i2d_X509(certificate, &der) : 0;
    bool good = false;
    if (length > 0) {
        try {
            known.met =
                fingerprint_of(std::as_bytes(std::span(der, static_cast<std::size_t>(length))));
            good = known.pinned() != nullptr && known.met == known.pinned()->theirs;
        } catch (const std::exception&) {
            good = false; // no certificate, or no memory: nobody is trusted
        }
        OPENSSL_free(der);
    }
    if (!good) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    }
    return good ? 1 : 0;
}

} // extern "C"

using Context = Handle<SSL_CTX, SSL_CTX_free>;

/// The handshake with a token.
void use_token(SSL_CTX* context, Tls::Side side) {
    if (side == Tls::Side::client) {
        // A server may answer the offered key with a certificate instead; none is ever trusted.
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_psk_use_session_callback(context, coldspare_use_psk);
    } else {
        SSL_CTX_set_psk_find_session_callback(context, coldspare_find_psk);
    }
}

/// The handshake with certificates on both sides.
void use_identity(SSL_CTX* context, Secrets& secrets) {
    const Identity& own = secrets.pinned()->own;
    const auto* key = reinterpret_cast<const unsigned char*>(own.key.data());
    const auto* certificate = reinterpret_cast<const unsigned char*>(own.certificate.data());
    if (SSL_CTX_use_certificate_ASN1(context, static_cast<int>(own.certificate.size()),
                                     certificate) != 1 ||
        SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_ED25519, context, key,
                                    static_cast<long>(own.key.size())) != 1 ||
        SSL_CTX_set1_sigalgs_list(context, "ed25519") != 1) {
        throw Error("cannot set up TLS 1.3: OpenSSL refuses this machine's certificate",
                    "check the system's OpenSSL policy (openssl.cnf)");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_cert_verify_callback(context, coldspare_check_pin, &secrets);
}

/// One context per connection: OpenSSL 3.0 locks what a context shares between connections.
Context make_context(Tls::Side side, Secrets& secrets) {
    Context context(
        SSL_CTX_new(side == Tls::Side::client ? TLS_client_method() : TLS_server_method()));
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context.get(), cipher_suites) != 1) {
        throw Error("cannot set up TLS 1.3: OpenSSL refuses its cipher suites",
                    "check the system's OpenSSL policy (openssl.cnf)");
    }
    SSL_CTX_set_app_data(context.get(), &secrets);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // A peer that just goes away is not a fault of TLS; success is DONE, never the end of the
    // stream.
    SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (secrets.pinned() != nullptr) {
        use_identity(context.get(), secrets);
    } else {
        use_token(context.get(), side);
    }
    return context;
}

// --- OpenSSL's way to the socket ------------------------------------------------------------

SocketBuffer& socket_of(BIO* bio) {
    return *static_cast<SocketBuffer*>(BIO_get_data(bio));
}

extern "C" {

int coldspare_bio_write(BIO* bio, const char* data, std::size_t length, std::size_t* put) {
    BIO_clear_retry_flags(bio);
    *put = socket_of(bio).put(std::as_bytes(std::span(data, length)));
    if (*put == 0 && length > 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    return 1;
}

int coldspare_bio_read(BIO* bio, char* data, std::size_t length, std::size_t* got) {
    BIO_clear_retry_flags(bio);
    SocketBuffer& socket = socket_of(bio);
    *got = socket.take(std::as_writable_bytes(std::span(data, length)));
    if (*got == 0 && !socket.ended() && socket.error() == 0) {
        BIO_set_retry_read(bio);
    }
    return *got > 0 ? 1 : 0;
}

/// OpenSSL flushes at the end of each turn of a handshake, after a key update and after an alert.
long coldspare_bio_control(BIO* bio, int command, long, void*) {
    SocketBuffer& socket = socket_of(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
        BIO_clear_retry_flags(bio);
        if (!socket.flush_some()) {
            return -1;
        }
        if (socket.unsent() > 0) {
            BIO_set_retry_write(bio);
            return -1;
        }
        return 1;
    case BIO_CTRL_EOF:
        return socket.ended() ? 1 : 0;
    default:
        return 0;
    }
}

/// Counts key updates.
void coldspare_look_at_message(int sent, int, int type, const void* bytes, std::size_t length, SSL*,
                               void* updates) {
    if (type == SSL3_RT_HANDSHAKE && length > 0 &&
        *static_cast<const unsigned char*>(bytes) == SSL3_MT_KEY_UPDATE) {
        auto& count = *static_cast<KeyUpdates*>(updates);
        ++(sent == 1 ? count.sent : count.received);
    }
}

} // extern "C"

Handle<BIO, BIO_free> make_bio(SocketBuffer& socket) {
    static const Handle<BIO_METHOD, BIO_meth_free> method = [] {
        Handle<BIO_METHOD, BIO_meth_free> made(
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coldspare socket"));
        if (made) {
            BIO_meth_set_write_ex(made.get(), coldspare_bio_write);
            BIO_meth_set_read_ex(made.get(), coldspare_bio_read);
            BIO_meth_set_ctrl(made.get(), coldspare_bio_control);
        }
        return made;
    }();
    Handle<BIO, BIO_free> bio(method ? BIO_new(method.get()) : nullptr);
    if (bio) {
        BIO_set_data(bio.get(), &socket);
        BIO_set_init(bio.get(), 1);
    }
    return bio;
}

constexpr std::size_t record_size = SSL3_RT_MAX_PLAIN_LENGTH;
// Room for a record and what may have to go before it: a key update.
constexpr std::size_t record_room = SSL3_RT_MAX_PACKET_SIZE + 64;

/// OpenSSL's reason in words that say what to do about it.
std::string words_for(unsigned long code) {
    switch (ERR_GET_REASON(code)) {
    case SSL_R_BINDER_DOES_NOT_VERIFY:
    case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
        return "the two sides have different tokens";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
        return "what it sent is not TLS";
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return "it shows a certificate, where it should know the token";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "it wants a token, and no certificate";
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        return "it came without the token";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "it showed no certificate";
    default:
        break;
    }
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return reason != nullptr ? reason : "it closed the connection";
}

/// Why TLS failed, where `code` is OpenSSL's reason.
Error failure(std::string_view what, const std::string& peer, const Secrets& secrets) {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (const Pinned* pinned = secrets.pinned()) {
        if (secrets.met && secrets.met != pinned->theirs) {
            return stranger_error(*pinned, peer, *secrets.met);
        }
        if (ERR_GET_REASON(code) == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE) {
            return turned_away_error(*pinned, peer);
        }
    }
    return Error(fmt::format("{}: {}", what, words_for(code)), what_is_needed(secrets.security));
}

} // namespace

struct Tls::State {
    explicit State(int fd) : socket(fd) {}

    std::string peer;
    Side side = Side::client;
    Secrets secrets;
    SocketBuffer socket;
    Context context;
    Handle<SSL, SSL_free> ssl;
    KeyUpdates updates;
    std::uint64_t renew_every = std::uint64_t{64} << 30;
    std::uint64_t sealed = 0; ///< with the current key; each record counts as a full one
    std::array<std::byte, record_size> joined; ///< a record's content from several pieces

    [[nodiscard]] Error broke() const {
        return system_error(fmt::format("the connection with {} broke", peer),
                            socket.error() != 0 ? socket.error() : EPIPE);
    }

    /// Encrypts one record from the front of `pieces`. False: not now.
    bool seal_record(Pieces& pieces) {
        std::span<const std::byte> content = pieces.front();
        if (content.size() < record_size) {
            // Many small records would cost more than joining the pieces.
            content = std::span(joined).first(pieces.copy(joined));
        }
        content = content.first(std::min(content.size(), record_size));
        std::size_t put = 0;
        if (SSL_write_ex(ssl.get(), content.data(), content.size(), &put) != 1) {
            const int why = SSL_get_error(ssl.get(), 0);
            if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
                return false;
            }
            throw broke();
        }
        pieces.skip(put);
        sealed += record_size;
        if (sealed >= renew_every) {
            renew_key();
        }
        return true;
    }

    /// The update travels with the next record.
    void renew_key() {
        if (SSL_key_update(ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
            throw failure(fmt::format("cannot renew the key of the connection with {}", peer), peer,
                          secrets);
        }
        sealed = 0;
    }
};

Tls::Tls(int fd, std::string peer, Side side, Security security)
    : state_(std::make_unique<State>(fd)) {
    state_->peer = std::move(peer);
    state_->side = side;
    state_->secrets.security = std::move(security);
    if (const auto* token = std::get_if<Token>(&state_->secrets.security.how)) {
        state_->secrets.psk = psk_of(*token);
    }
    state_->context = make_context(side, state_->secrets);
    state_->ssl.reset(SSL_new(state_->context.get()));
    Handle<BIO, BIO_free> bio = make_bio(state_->socket);
    if (!state_->ssl || !bio) {
        throw Error("cannot set up TLS: out of memory");
    }
    BIO* both = bio.release();
    SSL_set_bio(state_->ssl.get(), both, both);
    SSL_set_msg_callback(state_->ssl.get(), coldspare_look_at_message);
    SSL_set_msg_callback_arg(state_->ssl.get(), &state_->updates);
}

Tls::~Tls() {
    ERR_clear_error();
    static_cast<void>(SSL_shutdown(state_->ssl.get()));
}

bool Tls::shake_hands() {
    SSL* ssl = state_->ssl.get();
    const Secrets& secrets = state_->secrets;
    ERR_clear_error();
    const int done = state_->side == Side::client ? SSL_connect(ssl) : SSL_accept(ssl);
    if (done != 1) {
        const int why = SSL_get_error(ssl, done);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
            return false;
        }
        throw failure(fmt::format("no secure connection with {}", state_->peer), state_->peer,
                      secrets);
    }
    // The handshake counts only if both sides proved who they are: with a token, an external PSK
    // that was accepted is a resumed session to OpenSSL; with pinned keys, the certificate was
    // looked at.
    const bool proved = secrets.pinned() == nullptr ? SSL_session_reused(ssl) == 1
                                                    : secrets.met == secrets.pinned()->theirs;
    if (!proved) {
        throw Error(fmt::format("{} did not prove that it knows the token", state_->peer),
                    "somebody else answers there: check the address and the network");
    }
    return true;
}

std::size_t Tls::read_some(std::span<std::byte> into) {
    SSL* ssl = state_->ssl.get();
    std::size_t got = 0;
    ERR_clear_error();
    if (SSL_read_ex(ssl, into.data(), into.size(), &got) == 1) {
        return got;
    }
    const int why = SSL_get_error(ssl, 0);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        return 0;
    }
    if (state_->socket.error() != 0) {
        throw state_->broke();
    }
    if (why == SSL_ERROR_SSL) {
        // The client has shaken hands before the server has looked at its certificate.
        throw failure(fmt::format("the connection with {} broke", state_->peer), state_->peer,
                      state_->secrets);
    }
    throw closed_by(state_->peer);
}

void Tls::write_some(Pieces& pieces) {
    if (state_->socket.unsent() == 0) {
        ERR_clear_error();
        while (!pieces.empty() && state_->socket.room() >= record_room &&
               state_->seal_record(pieces)) {
        }
    }
    if (!state_->socket.flush_some()) {
        throw state_->broke();
    }
}

bool Tls::unsent() const {
    return state_->socket.unsent() > 0;
}

bool Tls::pending() const {
    return state_->socket.pending() || SSL_has_pending(state_->ssl.get()) != 0;
}

void Tls::renew_key_every(std::uint64_t bytes) {
    state_->renew_every = bytes;
}

KeyUpdates Tls::key_updates() const {
    return state_->updates;
}

Error closed_by(std::string_view peer) {
    return Error(fmt::format("{} closed the connection", peer),
                 "see what the other side says; both must use TLS, or both --insecure");
}

} // namespace coldspare::clone
