#include "clone/token.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/digest.hpp"
#include "clone/secret_file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::clone {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t base32_length = 26;
constexpr std::size_t group = 5;

/// Upper case, without what does not count, and with look-alikes read as what was meant.
std::string normalise(std::string_view text) {
    std::string result;
    for (char c : text) {
        if (c >= 'a' && c <= 'z') {
            c = static_cast<char>(c - 'a' + 'A');
        }
        switch (c) {
        case ' ':
        case '\t':
        case '\r':
        case '\n':
        case '-':
        case '=':
            continue;
        case '0':
            result.push_back('O');
            break;
        case '1':
            result.push_back('I');
            break;
        case '8':
            result.push_back('B');
            break;
        default:
            result.push_back(c);
        }
    }
    return result;
}

} // namespace

Token make_token() {
    Token token;
    std::ranges::copy(random_bytes(token.size()), token.begin());
    return token;
}

std::string format_token(const Token& token) {
    std::string text;
    unsigned buffered = 0;
    unsigned bits = 0;
    std::size_t digits = 0;
    const auto emit = [&](unsigned value) {
        if (digits != 0 && digits % group == 0) {
            text.push_back('-');
        }
        text.push_back(alphabet[value & 31U]);
        ++digits;
    };
    for (const std::byte byte : token) {
        buffered = (buffered << 8U) | std::to_integer<unsigned>(byte);
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            emit(buffered >> bits);
        }
    }
    emit(buffered << (5 - bits));
    return text;
}

Token parse_token(std::string_view text) {
    const std::string_view trimmed = trim(text);
    Token token{};
    if (trimmed.size() == token.size() * 2) {
        if (const std::optional<std::string> bytes = from_hex(trimmed)) {
            std::ranges::copy(as_byte_span(*bytes), token.begin());
            return token;
        }
    }
    const std::string digits = normalise(trimmed);
    unsigned buffered = 0;
    unsigned bits = 0;
    std::size_t filled = 0;
    bool good = digits.size() == base32_length;
    for (const char digit : digits) {
        const std::size_t value = alphabet.find(digit);
        good = good && value != std::string_view::npos;
        if (!good) {
            break;
        }
        buffered = ((buffered << 5U) | static_cast<unsigned>(value)) & 0xffffU;
        bits += 5;
        if (bits >= 8 && filled < token.size()) {
            bits -= 8;
            token[filled++] = static_cast<std::byte>(buffered >> bits);
        }
    }
    // 26 digits are 130 bits: the last two are padding and must be zero.
    good = good && (buffered & 3U) == 0;
    if (!good) {
        throw usage_error("the token is not 26 characters of A-Z 2-7, nor 32 hexadecimal digits",
                          "copy it as the listening side printed it");
    }
    return token;
}

Token read_token_file(const std::filesystem::path& path) {
    const std::string text = [&] {
        try {
            return read_secret_file(path, 4096, "the token");
        } catch (const Error& error) {
            if (error.status() == ExitStatus::usage) {
                throw;
            }
            throw usage_error(
                fmt::format("reading the token from '{}': {}", path.string(), error.message()),
                "the listening side makes one: see --token-file in coldspare-send(8)");
        }
    }();
    try {
        return parse_token(text);
    } catch (Error& error) {
        error.prepend(fmt::format("reading the token from '{}'", path.string()));
        throw;
    }
}

Sha256 psk_of(const Token& token) {
    constexpr std::string_view prefix = "coldspare pairing token 1\n";
    const std::string_view secret(reinterpret_cast<const char*>(token.data()), token.size());
    return sha256_of_pieces(std::array{prefix, secret});
}

} // namespace coldspare::clone
