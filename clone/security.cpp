#include "clone/security.hpp"

#include <fmt/format.h>

namespace coldspare::clone {

namespace {

std::string pair_again(const Pinned& pinned) {
    return fmt::format("if one of the two machines was set up anew: 'coldspare pair forget {}' on "
                       "both, then --pair and a token",
                       pinned.name);
}

} // namespace

std::string what_is_needed(const Security& security) {
    return std::holds_alternative<Pinned>(security.how)
               ? "both sides need --pair and no token; to pair anew, --pair and the same token"
               : "both sides need the same token, and both TLS (no --insecure)";
}

Error stranger_error(const Pinned& pinned, std::string_view peer, const Fingerprint& met) {
    return refusal(fmt::format("talk to {} as '{}': its fingerprint is {}, the one that was paired "
                               "is {}",
                               peer, pinned.name, shortened(met), shortened(pinned.theirs)),
                   pair_again(pinned));
}

Error turned_away_error(const Pinned& pinned, std::string_view peer) {
    return Error(fmt::format("{} ('{}', fingerprint {}) turns this machine away, whose fingerprint "
                             "is {}: it is paired with another",
                             peer, pinned.name, shortened(pinned.theirs),
                             shortened(pinned.own.fingerprint)),
                 pair_again(pinned), ExitStatus::refused);
}

} // namespace coldspare::clone
