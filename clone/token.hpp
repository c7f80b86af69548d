#pragma once

#include "clone/digest.hpp"

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace coldspare::clone {

/// The secret that both sides of a session share: 128 random bits (docs/PROTOCOL.md 2).
using Token = std::array<std::byte, 16>;

[[nodiscard]] Token make_token();

/// "ABCDE-FGHIJ-...": base32 in groups, for reading aloud.
[[nodiscard]] std::string format_token(const Token& token);

/// Reads 26 base32 characters or 32 hexadecimal digits. Throws Error (status 2) that never repeats
/// the text: it may be a secret with a slip.
[[nodiscard]] Token parse_token(std::string_view text);

/// Reads a token from a file. Throws Error (status 2), also if others can read the file.
[[nodiscard]] Token read_token_file(const std::filesystem::path& path);

/// The key that TLS makes of it (docs/PROTOCOL.md 2).
[[nodiscard]] Sha256 psk_of(const Token& token);

} // namespace coldspare::clone
