#include "clone/pairing.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace coldspare::clone {

namespace {

class PairingPeers : public Peers {
public:
    PairingPeers(std::unique_ptr<Peers> peers, Pins pins, std::string name, const Fingerprint& own,
                 Notice note, Notice warn)
        : peers_(std::move(peers)), pins_(std::move(pins)), name_(std::move(name)), own_(own),
          note_(std::move(note)), warn_(std::move(warn)) {}

    Control open_control(const Hello& ours, std::stop_token stop) override {
        Hello hello = ours;
        hello.identity = hex(own_);
        Control opened = peers_->open_control(hello, stop);
        // The same peer may come again, after its connection was lost.
        if (std::exchange(seen_, opened.theirs.identity) == opened.theirs.identity) {
            return opened;
        }
        if (opened.theirs.identity.empty()) {
            warn_(fmt::format("{} did not say --pair: nothing is remembered as '{}'",
                              opened.channel.peer(), name_));
        } else {
            const Pin pin{.name = name_,
                          .fingerprint = parse_fingerprint(opened.theirs.identity),
                          .paired = utc_timestamp(),
                          .peer = opened.channel.peer()};
            pins_.store(pin);
            note_(fmt::format("paired with {} as '{}', fingerprint {}", pin.peer, name_,
                              shortened(pin.fingerprint)));
        }
        return opened;
    }
    Channel open_data(const Hello& ours, std::stop_token stop) override {
        return peers_->open_data(ours, stop);
    }

private:
    std::unique_ptr<Peers> peers_;
    Pins pins_;
    std::string name_;
    Fingerprint own_;
    std::optional<std::string> seen_; ///< the identity that the peer told last
    Notice note_;
    Notice warn_;
};

class PairedPeers : public Peers {
public:
    PairedPeers(std::unique_ptr<Peers> peers, Pins pins, Pin pin, Notice warn)
        : peers_(std::move(peers)), pins_(std::move(pins)), pin_(std::move(pin)),
          warn_(std::move(warn)) {}

    Control open_control(const Hello& ours, std::stop_token stop) override {
        Control opened = peers_->open_control(ours, stop);
        pin_.peer = opened.channel.peer();
        try {
            pins_.store(pin_);
        } catch (const Error& error) {
            warn_(fmt::format("where '{}' is seen now is not remembered: {}", pin_.name,
                              error.message()));
        }
        return opened;
    }
    Channel open_data(const Hello& ours, std::stop_token stop) override {
        return peers_->open_data(ours, stop);
    }

private:
    std::unique_ptr<Peers> peers_;
    Pins pins_;
    Pin pin_;
    Notice warn_;
};

} // namespace

std::unique_ptr<Peers> pairing_peers(std::unique_ptr<Peers> peers, Pins pins, std::string name,
                                     const Fingerprint& own, Notice note, Notice warn) {
    return std::make_unique<PairingPeers>(std::move(peers), std::move(pins), std::move(name), own,
                                          std::move(note), std::move(warn));
}

std::unique_ptr<Peers> paired_peers(std::unique_ptr<Peers> peers, Pins pins, Pin pin, Notice warn) {
    return std::make_unique<PairedPeers>(std::move(peers), std::move(pins), std::move(pin),
                                         std::move(warn));
}

} // namespace coldspare::clone
