#include "clone/control.hpp"

#include "base/workers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace coldspare::clone {

namespace {

// Also how late the end of the last worker is seen, so it is short.
constexpr std::chrono::milliseconds turn_length{20};
constexpr std::chrono::seconds heartbeat_every{1};
constexpr std::size_t largest_outbox = 1 << 20;

Role other(Role role) {
    return role == Role::source ? Role::target : Role::source;
}

} // namespace

void Control::send(FrameType type, std::string_view payload, std::stop_token stop) {
    send_posted(stop); // What was left here before comes before.
    send({type, std::string(payload)}, stop);
}

void Control::send(const Message& message, std::stop_token stop) {
    channel_.set_deadline(Clock::now() + patience_);
    send_message(channel_, message, stop);
    channel_.set_deadline(std::nullopt);
    last_sent_ = Clock::now();
}

void Control::post(Message message, std::stop_token stop) {
    for (;;) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        {
            const std::scoped_lock lock(outbox_mutex_);
            if (outbox_bytes_ < largest_outbox) {
                outbox_bytes_ += message.payload.size();
                outbox_.push_back(std::move(message));
                return;
            }
        }
        std::this_thread::sleep_for(turn_length / 4);
    }
}

void Control::send_posted(std::stop_token stop) {
    std::deque<Message> messages;
    {
        const std::scoped_lock lock(outbox_mutex_);
        messages.swap(outbox_);
        outbox_bytes_ = 0;
    }
    for (const Message& message : messages) {
        send(message, stop);
    }
}

void Control::heartbeat(std::stop_token stop) {
    if (Clock::now() - last_sent_ >= heartbeat_every) {
        send(FrameType::progress,
             encode(ProgressMessage{counters_->bytes_done, counters_->io_ns, counters_->net_ns}),
             stop);
    }
}

std::optional<Message> Control::turn(std::stop_token stop) {
    if (stop.stop_requested()) {
        throw interrupted();
    }
    if (early_) {
        return std::exchange(early_, std::nullopt);
    }
    send_posted(stop);
    heartbeat(stop);
    if (!channel_.readable(turn_length)) {
        if (Clock::now() - last_heard_ > patience_) {
            silent_ = true;
            throw Error(fmt::format("nothing was heard from {} for {} s", channel_.peer(),
                                    patience_.count()),
                        "is the other machine up, and the network?");
        }
        return std::nullopt;
    }
    // A frame that began must also end.
    channel_.set_deadline(Clock::now() + patience_);
    Message message = receive_message(channel_, stop);
    channel_.set_deadline(std::nullopt);
    last_heard_ = Clock::now();
    if (message.type == FrameType::error) {
        peer_gave_up_ = true;
        throw parse_error(message.payload, word(other(ours_)));
    }
    if (message.type == FrameType::progress) {
        theirs_ = parse_progress(message.payload);
        return std::nullopt;
    }
    return message;
}

std::string Control::expect(FrameType type, std::stop_token stop) {
    for (;;) {
        if (std::optional<Message> message = turn(stop)) {
            if (message->type != type) {
                throw protocol_error(fmt::format("{} where {} was due", frame_name(message->type),
                                                 frame_name(type)));
            }
            return std::move(message->payload);
        }
    }
}

void Control::begin_disk(const Counters& counters) {
    counters_ = &counters;
    theirs_ = {};
    if (disks_++ > 0) { // What came before the first disk is counted with it.
        started_ = Clock::now();
        wire_before_ = channel_.bytes_sent() + channel_.bytes_received();
    }
}

std::string_view Control::limit() const {
    const double lived = Seconds(Clock::now() - started_).count() * 1e9 * streams_;
    if (lived < 1e9 || theirs_.net_ns == 0) {
        return {};
    }
    const double ours_busy =
        std::clamp(1 - static_cast<double>(counters_->net_ns) / lived, 0.0, 1.0);
    const double theirs_busy =
        std::clamp(1 - static_cast<double>(theirs_.net_ns) / lived, 0.0, 1.0);
    return limit_of(ours_ == Role::source ? Business{ours_busy, theirs_busy}
                                          : Business{theirs_busy, ours_busy});
}

CopyReport Control::report(const Geometry& geometry, const Sha256& root,
                           const std::vector<Channel>& streams) const {
    std::uint64_t wire = channel_.bytes_sent() + channel_.bytes_received() - wire_before_;
    for (const Channel& stream : streams) {
        wire += stream.bytes_sent() + stream.bytes_received();
    }
    return {.geometry = geometry,
            .root = root,
            .bytes_read = counters_->bytes_read,
            .bytes_zero = counters_->bytes_zero,
            .bytes_same = counters_->bytes_same,
            .bytes_skipped = counters_->bytes_skipped,
            .bytes_sent = counters_->bytes_sent,
            .bytes_wire = wire,
            .blocks_sent = counters_->blocks_sent,
            .seconds = Seconds(Clock::now() - started_).count()};
}

bool Control::lost(const std::vector<Channel>& streams) const {
    return !peer_gave_up_ &&
           (silent_ || channel_.broken() || std::ranges::any_of(streams, &Channel::broken));
}

void Control::give_up(const Error& error, const std::vector<Channel>& streams,
                      std::stop_token stop) {
    if (peer_gave_up_) {
        throw error;
    }
    if (lost(streams) && error.status() != ExitStatus::interrupted) {
        wait_for_peers_reason(stop);
        // The peer may not have noticed; with this status it tries again, as we do.
        const Error lost_it(error.message(), go_on_hint, ExitStatus::incomplete);
        tell(lost_it);
        throw lost_it;
    }
    tell(error);
    throw error;
}

void Control::wait_for_peers_reason(std::stop_token stop) {
    patience_ = std::chrono::seconds(2);
    const TimePoint give_up = Clock::now() + patience_;
    try {
        while (Clock::now() < give_up) {
            static_cast<void>(turn(stop));
        }
    } catch (const Error&) {
        if (peer_gave_up_) {
            throw;
        }
    }
}

void Control::tell(const Error& error) {
    try {
        channel_.set_deadline(Clock::now() + std::chrono::seconds(1));
        send_message(channel_, FrameType::error, encode(error), {});
        // Closing with unread frames would reset the connection, and the ERROR might be lost with
        // it: read until the peer, which has it by then, closes.
        for (;;) {
            static_cast<void>(receive_message(channel_, {}));
        }
    } catch (const Error&) {
        // It has closed, or is gone and will see that we are too.
    }
}

void keep_alive_while(Control& control, std::function<void(std::stop_token)> work,
                      std::stop_token stop) {
    std::atomic<bool> done{false};
    run_workers(stop, {[&](std::stop_token inner) {
                           work(inner);
                           done = true;
                       },
                       [&](std::stop_token inner) {
                           std::optional<Message> early;
                           while (!done && !early) {
                               early = control.turn(inner);
                           }
                           if (early) {
                               control.put_back(std::move(*early));
                           }
                       }});
}

void open_streams(Peers& peers, const PlanMessage& plan, Role ours, Control& control,
                  std::vector<Channel>& streams, std::stop_token stop) {
    keep_alive_while(
        control,
        [&](std::stop_token inner) {
            try {
                for (unsigned i = 0; i < plan.streams; ++i) {
                    streams.push_back(peers.open_data(Hello{.role = ours,
                                                            .kind = ConnectionKind::data,
                                                            .session = plan.session,
                                                            .stream = i},
                                                      inner));
                }
            } catch (const Error& error) {
                // The peer was there a moment ago.
                throw Error(error.message(), error.hint(),
                            error.status() == ExitStatus::failed ? ExitStatus::incomplete
                                                                 : error.status());
            }
        },
        stop);
}

} // namespace coldspare::clone
