#pragma once

#include "clone/channel.hpp"
#include "clone/peers.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace coldspare::clone {

/// A listener on a free port of this machine. SIGPIPE is ignored, as the program does.
[[nodiscard]] inline Listener loopback_listener() {
    std::signal(SIGPIPE, SIG_IGN);
    return Listener(Address{"127.0.0.1", "0"});
}

[[nodiscard]] inline std::chrono::steady_clock::time_point in_seconds(int seconds) {
    return std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
}

/// The next connection of `listener`, handshake still to be done.
[[nodiscard]] inline Listener::Pending accept_one(Listener& listener) {
    const auto give_up = in_seconds(60);
    while (std::chrono::steady_clock::now() < give_up) {
        if (std::optional<Listener::Pending> pending = listener.accept({})) {
            return std::move(*pending);
        }
    }
    throw std::runtime_error("nobody connected");
}

/// Two ends of one connection.
struct ChannelPair {
    Channel client;
    Channel server;
};

[[nodiscard]] inline ChannelPair connected_pair(const Security& security) {
    Listener listener = loopback_listener();
    Channel client = Channel::connect(listener.address(), {});
    Listener::Pending pending = accept_one(listener);
    std::jthread shaking([&] { client.secure(security, {}); });
    Channel server = pending.handshake(security, in_seconds(60), {});
    shaking.join();
    server.set_deadline(std::nullopt);
    return {std::move(client), std::move(server)};
}

/// The next message that is not a heartbeat.
[[nodiscard]] inline Message next_message(Channel& channel) {
    for (;;) {
        Message message = receive_message(channel, {});
        if (message.type != FrameType::progress) {
            return message;
        }
    }
}

/// Collects what Peers tell the operator, from any thread.
class Notices {
public:
    [[nodiscard]] Notice sink() {
        return [this](std::string_view text) {
            const std::scoped_lock lock(mutex_);
            texts_.emplace_back(text);
            came_.notify_all();
        };
    }
    [[nodiscard]] std::vector<std::string> texts() {
        const std::scoped_lock lock(mutex_);
        return texts_;
    }
    /// Whether one of them has `part` in it, or will have within 10 s.
    [[nodiscard]] bool mention(std::string_view part) {
        std::unique_lock lock(mutex_);
        return came_.wait_until(lock, in_seconds(60), [&] {
            return std::ranges::any_of(texts_, [part](const std::string& text) {
                return text.find(part) != std::string::npos;
            });
        });
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::vector<std::string> texts_;
};

} // namespace coldspare::clone
