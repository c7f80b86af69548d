#pragma once

#include "clone/digest.hpp"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// What a paired machine is known by: SHA-256 of its public key (SubjectPublicKeyInfo, DER). Names,
/// dates and issuers of certificates mean nothing here: live images have wrong clocks.
using Fingerprint = Sha256;

/// A machine's key pair, and the self-signed certificate in which TLS shows its public half
/// (docs/PROTOCOL.md 2).
struct Identity {
    std::vector<std::byte> key;         ///< Ed25519, PKCS #8 DER
    std::vector<std::byte> certificate; ///< X.509 DER
    Fingerprint fingerprint{};
};

/// A new one. Throws Error.
[[nodiscard]] Identity make_identity();

/// Private key and certificate as PEM, and back. parse_identity() throws Error for anything but an
/// unencrypted Ed25519 key with its own certificate.
[[nodiscard]] std::string encode(const Identity& identity);
[[nodiscard]] Identity parse_identity(std::string_view pem);

/// The identity that is kept in `state_dir`; made there the first time. Throws Error (status 2 if
/// others can read the file).
[[nodiscard]] Identity load_identity(const std::filesystem::path& state_dir);

/// The fingerprint of a certificate (X.509 DER). Throws Error if it is none.
[[nodiscard]] Fingerprint fingerprint_of(std::span<const std::byte> certificate);

/// 64 hexadecimal digits, and back. Throws Error.
[[nodiscard]] Fingerprint parse_fingerprint(std::string_view text);

/// The first 16 digits and "...": enough for people to tell two machines apart.
[[nodiscard]] std::string shortened(const Fingerprint& fingerprint);

} // namespace coldspare::clone
