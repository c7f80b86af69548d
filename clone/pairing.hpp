#pragma once

#include "clone/peers.hpp"
#include "clone/pins.hpp"

#include <memory>
#include <string>

namespace coldspare::clone {

/// Peers that exchange fingerprints in the control connection's HELLO, and keep the other side's
/// under `name` (docs/PROTOCOL.md 2). The session must be one with a token. A peer that does not
/// pair is told to `warn`, and nothing is kept.
[[nodiscard]] std::unique_ptr<Peers> pairing_peers(std::unique_ptr<Peers> peers, Pins pins,
                                                   std::string name, const Fingerprint& own,
                                                   Notice note, Notice warn);

/// Peers that are paired already: remembers where the other side was seen last. If that cannot be
/// written, `warn` is told and the session goes on.
[[nodiscard]] std::unique_ptr<Peers> paired_peers(std::unique_ptr<Peers> peers, Pins pins, Pin pin,
                                                  Notice warn);

} // namespace coldspare::clone
