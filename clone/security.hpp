#pragma once

#include "base/error.hpp"
#include "clone/identity.hpp"
#include "clone/token.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace coldspare::clone {

/// Both sides have met before: each shows its own certificate and accepts only the other's key.
struct Pinned {
    std::string name; ///< of the pair, for messages
    Identity own;
    Fingerprint theirs{};
};

/// How a connection is protected (docs/PROTOCOL.md 2): by nothing, or by TLS 1.3 with a token that
/// both sides know, or with keys that were exchanged in an earlier session.
struct Security {
    struct Plain {};
    std::variant<Plain, Token, Pinned> how;

    Security() = default;
    Security(const Token& token) : how(token) {}
    Security(Pinned pinned) : how(std::move(pinned)) {}

    /// Whether it is TLS.
    [[nodiscard]] explicit operator bool() const { return !std::holds_alternative<Plain>(how); }
};

/// "both sides need the same token, ...": a hint when TLS failed.
[[nodiscard]] std::string what_is_needed(const Security& security);

/// The peer's key is not the one that was pinned: a refusal.
[[nodiscard]] Error stranger_error(const Pinned& pinned, std::string_view peer,
                                   const Fingerprint& met);

/// The peer does not take this machine for the one that it has pinned: a refusal.
[[nodiscard]] Error turned_away_error(const Pinned& pinned, std::string_view peer);

} // namespace coldspare::clone
