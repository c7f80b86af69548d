#include "clone/identity.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"
#include "clone/secret_file.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <system_error>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

using Key = Handle<EVP_PKEY, EVP_PKEY_free>;
using Certificate = Handle<X509, X509_free>;
using Memory = Handle<BIO, BIO_free>;

constexpr std::size_t largest_file = 64 * 1024;

Error no_memory() {
    return Error("cannot make a key: OpenSSL has no Ed25519, or memory is short");
}

/// What OpenSSL's i2d_*() makes of `object`.
template <typename T, typename Encode>
std::vector<std::byte> der(const T* object, Encode encode) {
    unsigned char* bytes = nullptr;
    const int length = encode(object, &bytes);
    if (length <= 0) {
        throw no_memory();
    }
    const auto begin = reinterpret_cast<const std::byte*>(bytes);
    std::vector<std::byte> result(begin, begin + length);
    OPENSSL_cleanse(bytes, static_cast<std::size_t>(length));
    OPENSSL_free(bytes);
    return result;
}

Certificate read_certificate(std::span<const std::byte> bytes) {
    const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
    Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
    ERR_clear_error();
    return certificate;
}

Key read_key(std::span<const std::byte> bytes) {
    const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
    Key key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(bytes.size())));
    ERR_clear_error();
    return key;
}

Certificate make_certificate(EVP_PKEY* key) {
    Certificate made(X509_new());
    if (!made) {
        throw no_memory();
    }
    X509_NAME* name = X509_get_subject_name(made.get());
    const auto* common_name = reinterpret_cast<const unsigned char*>("coldspare");
    // Nobody looks at the dates; these are valid for whoever does (RFC 5280 4.1.2.5).
    const bool good =
        X509_set_version(made.get(), 2) == 1 &&
        ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1) == 1 &&
        ASN1_TIME_set_string(X509_getm_notBefore(made.get()), "20000101000000Z") == 1 &&
        ASN1_TIME_set_string(X509_getm_notAfter(made.get()), "99991231235959Z") == 1 &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
        X509_set_issuer_name(made.get(), name) == 1 && X509_set_pubkey(made.get(), key) == 1 &&
        X509_sign(made.get(), key, nullptr) > 0;
    if (!good) {
        throw no_memory();
    }
    return made;
}

Identity identity_of(const EVP_PKEY* key, const X509* certificate) {
    Identity identity;
    identity.key = der(key, i2d_PrivateKey);
    identity.certificate = der(certificate, i2d_X509);
    identity.fingerprint = fingerprint_of(identity.certificate);
    return identity;
}

extern "C" {
/// Instead of a question on the terminal.
int coldspare_no_password(char*, int, int, void*) {
    return -1;
}
}

Identity read_identity(const fs::path& path) {
    const std::string pem = read_secret_file(path, largest_file, "the private key");
    try {
        return parse_identity(pem);
    } catch (Error& error) {
        error.prepend(fmt::format("reading '{}'", path.string()));
        throw;
    }
}

} // namespace

Identity make_identity() {
    const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    if (!key) {
        throw no_memory();
    }
    return identity_of(key.get(), make_certificate(key.get()).get());
}

std::string encode(const Identity& identity) {
    const Key key = read_key(identity.key);
    const Certificate certificate = read_certificate(identity.certificate);
    const Memory memory(BIO_new(BIO_s_mem()));
    if (!key || !certificate || !memory ||
        PEM_write_bio_PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
            1 ||
        PEM_write_bio_X509(memory.get(), certificate.get()) != 1) {
        throw no_memory();
    }
    char* text = nullptr;
    const long length = BIO_get_mem_data(memory.get(), &text);
    return {text, static_cast<std::size_t>(length)};
}

Identity parse_identity(std::string_view pem) {
    const auto open = [pem] {
        return Memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    };
    // Each in its own pass, so that their order does not matter.
    const Key key(PEM_read_bio_PrivateKey(open().get(), nullptr, coldspare_no_password, nullptr));
    const Certificate certificate(
        PEM_read_bio_X509(open().get(), nullptr, coldspare_no_password, nullptr));
    const bool good = key && certificate && EVP_PKEY_get_id(key.get()) == EVP_PKEY_ED25519 &&
                      X509_check_private_key(certificate.get(), key.get()) == 1;
    ERR_clear_error();
    if (!good) {
        throw Error("it is not an Ed25519 private key with its certificate",
                    "bring the file back, or remove it and pair again with every machine");
    }
    return identity_of(key.get(), certificate.get());
}

Identity load_identity(const fs::path& state_dir) {
    const fs::path path = state_dir / "identity.pem";
    std::error_code code;
    fs::create_directories(state_dir, code);
    if (code) {
        throw system_error(fmt::format("cannot make the directory '{}'", state_dir.string()),
                           code.value(), "choose another one with --state-dir");
    }
    // Two runs that come first at the same time must not make two.
    const Fd lock = open_file(state_dir, O_RDONLY | O_DIRECTORY);
    while (::flock(lock.get(), LOCK_EX) != 0) {
        if (errno != EINTR) {
            throw system_error(fmt::format("cannot lock '{}'", state_dir.string()), errno);
        }
    }
    if (!fs::exists(path)) {
        write_file_atomically(path, encode(make_identity()), 0600);
    }
    return read_identity(path);
}

Fingerprint fingerprint_of(std::span<const std::byte> certificate) {
    const Certificate read = read_certificate(certificate);
    if (!read) {
        throw Error("it is not a certificate");
    }
    return sha256(der(X509_get_X509_PUBKEY(read.get()), i2d_X509_PUBKEY));
}

Fingerprint parse_fingerprint(std::string_view text) {
    Fingerprint fingerprint{};
    const std::optional<std::string> bytes = from_hex(text);
    if (!bytes || bytes->size() != fingerprint.size()) {
        throw Error("a fingerprint has 64 hexadecimal digits");
    }
    std::ranges::copy(as_byte_span(*bytes), fingerprint.begin());
    return fingerprint;
}

std::string shortened(const Fingerprint& fingerprint) {
    return hex(fingerprint).substr(0, 16) + "...";
}

} // namespace coldspare::clone
