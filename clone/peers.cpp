#include "clone/peers.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace coldspare::clone {

namespace {

constexpr std::chrono::seconds hello_deadline{10};
constexpr std::chrono::seconds data_deadline{30};
constexpr std::size_t most_pending = 32;
// Of those who said HELLO during a session; the oldest have long given up.
constexpr std::size_t most_waiting = 32;

} // namespace

FrameHeader Message::header() const {
    FrameHeader header{.type = type,
                       .offset = range.offset,
                       .raw_length = static_cast<std::uint32_t>(range.length),
                       .wire_length = static_cast<std::uint32_t>(payload.size())};
    if (!payload.empty()) {
        header.hash = hash_block(as_byte_span(payload));
    }
    return header;
}

void send_message(Channel& channel, const Message& message, std::stop_token stop) {
    const auto header = encode(message.header());
    const std::array<std::span<const std::byte>, 2> pieces{header, as_byte_span(message.payload)};
    channel.send(pieces, stop);
}

Message receive_message(Channel& channel, std::stop_token stop) {
    for (;;) {
        std::array<std::byte, header_size> bytes;
        channel.receive(bytes, stop);
        const FrameHeader header = decode(bytes);
        check_control_frame(header);
        Message message{header.type, std::string(header.wire_length, '\0'), header.range()};
        channel.receive(std::as_writable_bytes(std::span(message.payload)), stop);
        if (!message.payload.empty() && hash_block(as_byte_span(message.payload)) != header.hash) {
            throw Error(fmt::format("a {} frame was damaged on the way", frame_name(header.type)),
                        "the connection damages data: use TLS, check the network");
        }
        if (is_known(header.type) || !header.ignorable()) {
            return message;
        }
    }
}

namespace {

/// What the peer answers to our HELLO.
Hello receive_hello(Channel& channel, std::stop_token stop) {
    const Message message = receive_message(channel, stop);
    if (message.type == FrameType::error) {
        throw parse_error(message.payload, "other side");
    }
    if (message.type != FrameType::hello) {
        throw Error(fmt::format("{} sent {} where HELLO was due", channel.peer(),
                                frame_name(message.type)));
    }
    return parse_hello(message.payload);
}

class ConnectingPeers : public Peers {
public:
    ConnectingPeers(Address address, Security security, std::chrono::seconds retry_for,
                    Notice notice)
        : address_(std::move(address)), security_(std::move(security)), retry_for_(retry_for),
          notice_(std::move(notice)) {}

    Control open_control(const Hello& ours, std::stop_token stop) override {
        const TimePoint give_up = Clock::now() + retry_for_;
        for (;;) {
            try {
                Channel channel = connect_patiently(give_up, stop);
                channel.secure(security_, stop);
                Hello theirs = exchange(channel, ours, stop);
                const Agreement agreement = agree(ours, theirs);
                met_ = true;
                return {std::move(channel), agreement, std::move(theirs)};
            } catch (const Error& error) {
                if (!worth_another_try(error)) {
                    throw;
                }
                if (Clock::now() >= give_up) {
                    throw Error(error.message(), go_on_hint, ExitStatus::incomplete);
                }
            }
            pause(std::chrono::seconds(1), stop);
        }
    }

    Channel open_data(const Hello& ours, std::stop_token stop) override {
        Channel channel = Channel::connect(address_, stop);
        channel.secure(security_, stop);
        static_cast<void>(exchange(channel, ours, stop));
        return channel;
    }

private:
    /// Whoever was there before may be half gone, or busy with the end of a session that it has not
    /// given up yet; but what is wrong at the first meeting is wrong for good.
    [[nodiscard]] bool worth_another_try(const Error& error) const {
        return error.status() == ExitStatus::incomplete ||
               (met_ && error.status() == ExitStatus::failed);
    }

    static void pause(std::chrono::milliseconds length, const std::stop_token& stop) {
        const TimePoint end = Clock::now() + length;
        while (Clock::now() < end) {
            if (stop.stop_requested()) {
                throw interrupted();
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    }

    Hello exchange(Channel& channel, const Hello& ours, std::stop_token stop) const {
        channel.set_deadline(Clock::now() + hello_deadline);
        try {
            send_message(channel, FrameType::hello, encode(ours), stop);
            Hello theirs = receive_hello(channel, stop);
            channel.set_deadline(std::nullopt);
            return theirs;
        } catch (const Error& error) {
            // A TLS listener answers a plain HELLO with an alert and hangs up.
            if (!security_ && channel.broken()) {
                throw Error(error.message(),
                            "both sides must use TLS, or both --insecure; see what the other "
                            "side says");
            }
            throw;
        }
    }

    Channel connect_patiently(TimePoint give_up, std::stop_token stop) {
        for (bool told = false;; told = true) {
            try {
                return Channel::connect(address_, stop);
            } catch (const Error& error) {
                if (error.status() == ExitStatus::interrupted || Clock::now() >= give_up) {
                    throw;
                }
                if (!told) {
                    notice_(fmt::format("waiting for {} to listen", address_.text()));
                }
            }
            pause(std::chrono::milliseconds(250), stop);
        }
    }

    Address address_;
    Security security_;
    std::chrono::seconds retry_for_;
    Notice notice_;
    bool met_ = false; ///< there was a session
};

/// Accepts in one thread; each newcomer shakes hands in a thread of its own, so that a silent one
/// holds up nobody. Who has said HELLO waits in a queue.
class ListeningPeers : public Peers {
public:
    ListeningPeers(Listener listener, Security security, std::chrono::seconds retry_for,
                   Notice notice)
        : listener_(std::move(listener)), security_(std::move(security)), retry_for_(retry_for),
          notice_(std::move(notice)),
          acceptor_([this](std::stop_token stop) { accept_all(stop); }) {}

    ~ListeningPeers() override {
        acceptor_.request_stop();
        acceptor_.join();
        for (const auto& newcomer : newcomers_) {
            newcomer->thread.request_stop();
        }
        newcomers_.clear();
    }
    ListeningPeers(const ListeningPeers&) = delete;
    ListeningPeers& operator=(const ListeningPeers&) = delete;

    Control open_control(const Hello& ours, std::stop_token stop) override {
        std::optional<TimePoint> give_up;
        if (met_) {
            give_up = Clock::now() + retry_for_;
        }
        for (;;) {
            Visitor visitor = next(stop, give_up,
                                   Error(fmt::format("the other side did not come back within {} s",
                                                     retry_for_.count()),
                                         go_on_hint, ExitStatus::incomplete));
            try {
                if (visitor.hello.kind != ConnectionKind::control) {
                    throw Error("it belongs to no session of ours");
                }
                const Agreement agreement = agree(ours, visitor.hello);
                send_message(visitor.channel, FrameType::hello, encode(ours), stop);
                met_ = true;
                return {std::move(visitor.channel), agreement, std::move(visitor.hello)};
            } catch (const Error& error) {
                turn_away(visitor.channel, error, stop);
            }
        }
    }

    Channel open_data(const Hello& ours, std::stop_token stop) override {
        const TimePoint give_up = Clock::now() + data_deadline;
        for (;;) {
            Visitor visitor = next(stop, give_up,
                                   Error("the peer did not open its data connections in time",
                                         "does a firewall limit the number of connections?",
                                         ExitStatus::incomplete));
            const Hello& theirs = visitor.hello;
            // The connecting side opens its streams one after the other, so they come in order.
            if (theirs.kind == ConnectionKind::data && theirs.session == ours.session &&
                theirs.stream == ours.stream && theirs.role != ours.role) {
                send_message(visitor.channel, FrameType::hello, encode(ours), stop);
                return std::move(visitor.channel);
            }
            turn_away(visitor.channel, Error("this side is busy with another session"), stop);
        }
    }

private:
    struct Visitor {
        Channel channel;
        Hello hello;
    };

    /// The next one that said HELLO; throws `too_late` after `give_up`.
    Visitor next(std::stop_token stop, std::optional<TimePoint> give_up, const Error& too_late) {
        std::unique_lock lock(mutex_);
        while (visitors_.empty()) {
            if (stop.stop_requested()) {
                throw interrupted();
            }
            if (give_up && Clock::now() > *give_up) {
                throw too_late;
            }
            arrived_.wait_for(lock, std::chrono::milliseconds(200));
        }
        Visitor visitor = std::move(visitors_.front());
        visitors_.pop_front();
        return visitor;
    }

    void turn_away(Channel& channel, const Error& error, std::stop_token stop) {
        notice_(fmt::format("turned away {}: {}", channel.peer(), error.message()));
        try {
            channel.set_deadline(Clock::now() + std::chrono::seconds(1));
            send_message(channel, FrameType::error, encode(error), stop);
        } catch (const Error&) {
            // It is gone already; there is nobody to tell.
        }
    }

    void accept_all(std::stop_token stop) {
        try {
            while (!stop.stop_requested()) {
                forget_finished();
                if (newcomers_.size() >= most_pending) {
                    std::this_thread::sleep_for(std::chrono::milliseconds(50));
                    continue;
                }
                if (std::optional<Listener::Pending> pending = listener_.accept(stop)) {
                    newcomers_.push_back(std::make_unique<Newcomer>(*this, std::move(*pending)));
                }
            }
        } catch (const std::exception& error) {
            // By the stop token; or there are no more threads to be had.
            if (!stop.stop_requested()) {
                notice_(fmt::format("no more connections are accepted: {}", error.what()));
            }
        }
    }

    void forget_finished() {
        std::erase_if(newcomers_, [](const auto& newcomer) { return newcomer->finished.load(); });
    }

    void greet(Listener::Pending pending, std::stop_token stop) {
        const std::string peer = pending.peer();
        try {
            const TimePoint deadline = Clock::now() + hello_deadline;
            Channel channel = pending.handshake(security_, deadline, stop);
            const Message message = receive_message(channel, stop);
            if (message.type != FrameType::hello) {
                throw Error(fmt::format("{} where HELLO was due", frame_name(message.type)));
            }
            Hello hello = parse_hello(message.payload);
            channel.set_deadline(std::nullopt);
            {
                const std::scoped_lock lock(mutex_);
                visitors_.push_back({std::move(channel), std::move(hello)});
                if (visitors_.size() > most_waiting) {
                    visitors_.pop_front();
                }
            }
            arrived_.notify_all();
        } catch (const Error& error) {
            if (error.status() != ExitStatus::interrupted) {
                notice_(fmt::format("turned away {}: {}", peer, error.message()));
            }
        }
    }

    struct Newcomer {
        Newcomer(ListeningPeers& peers, Listener::Pending pending)
            : held(std::move(pending)), thread([this, &peers](std::stop_token stop) {
                  peers.greet(std::move(held), stop);
                  finished = true;
              }) {}
        std::atomic<bool> finished{false};
        Listener::Pending held;
        std::jthread thread;
    };

    Listener listener_;
    Security security_;
    std::chrono::seconds retry_for_;
    Notice notice_;
    bool met_ = false; ///< there was a session
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<Visitor> visitors_;
    std::vector<std::unique_ptr<Newcomer>>
        newcomers_; // touched by the acceptor only, until the end
    std::jthread acceptor_;
};

} // namespace

std::unique_ptr<Peers> connecting_peers(Address address, Security security,
                                        std::chrono::seconds retry_for, Notice notice) {
    return std::make_unique<ConnectingPeers>(std::move(address), std::move(security), retry_for,
                                             std::move(notice));
}

std::unique_ptr<Peers> listening_peers(Listener listener, Security security,
                                       std::chrono::seconds retry_for, Notice notice) {
    return std::make_unique<ListeningPeers>(std::move(listener), std::move(security), retry_for,
                                            std::move(notice));
}

} // namespace coldspare::clone
