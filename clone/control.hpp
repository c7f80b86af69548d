#pragma once

#include "base/clock.hpp"
#include "clone/peers.hpp"
#include "clone/progress.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace coldspare::clone {

/// The control connection after HELLO: frames in order, heartbeats in between, and the peer's ERROR
/// turned into ours. One thread at a time.
class Control {
public:
    Control(Channel channel, Role ours, unsigned streams, const Counters& counters)
        : channel_(std::move(channel)), ours_(ours), streams_(streams), counters_(&counters) {}

    void send(FrameType type, std::string_view payload, std::stop_token stop);

    /// Leaves a message for the thread that has the turns; any thread may. Blocks while a MiB
    /// waits.
    void post(Message message, std::stop_token stop);

    /// Blocks until the frame `type` comes, sending heartbeats. Any other frame but PROGRESS is an
    /// Error, and so are 60 s of silence.
    [[nodiscard]] std::string expect(FrameType type, std::stop_token stop);

    /// One turn of waiting, up to 20 ms: a heartbeat if one is due, and a frame if one came that
    /// is not PROGRESS. Throws the peer's ERROR.
    [[nodiscard]] std::optional<Message> turn(std::stop_token stop);

    /// From now on heartbeats report these.
    void count(const Counters& counters) { counters_ = &counters; }

    /// The next disk of the session: report() and limit() speak of it alone. Heartbeats report
    /// `counters` until count() is called.
    void begin_disk(const Counters& counters);

    /// What limits the copy, from both sides' figures.
    [[nodiscard]] std::string_view limit() const;

    /// The figures of the disk so far; `bytes_read` and `verified` are the caller's to fill in.
    [[nodiscard]] CopyReport report(const Geometry& geometry, const Sha256& root,
                                    const std::vector<Channel>& streams) const;

    /// Since the disk was begun.
    [[nodiscard]] std::uint64_t milliseconds() const {
        return static_cast<std::uint64_t>(Seconds(Clock::now() - started_).count() * 1000);
    }

    /// Bytes of disk that the peer has done.
    [[nodiscard]] std::uint64_t peer_done() const { return theirs_.bytes_done; }

    /// Ends a session that failed with `error`: throws the peer's own reason if a connection broke
    /// and the peer gives one within 2 s; else tells the peer ours and throws that.
    [[noreturn]] void give_up(const Error& error, const std::vector<Channel>& streams,
                              std::stop_token stop);

    /// The next turn() returns this message again.
    void put_back(Message message) { early_ = std::move(message); }

    /// Whether the peer was lost, rather than that one of the two gave up: worth another try.
    [[nodiscard]] bool lost(const std::vector<Channel>& streams) const;

    [[nodiscard]] Channel& channel() { return channel_; }

private:
    void send(const Message& message, std::stop_token stop);
    void heartbeat(std::stop_token stop);
    void send_posted(std::stop_token stop);
    void tell(const Error& error);
    void wait_for_peers_reason(std::stop_token stop);

    Channel channel_;
    Role ours_;
    unsigned streams_;
    const Counters* counters_;
    ProgressMessage theirs_;
    std::optional<Message> early_; ///< put back
    std::mutex outbox_mutex_;
    std::deque<Message> outbox_; ///< posted
    std::size_t outbox_bytes_ = 0;
    bool silent_ = false;               ///< the peer was not heard for too long
    std::chrono::seconds patience_{60}; ///< with silence, and with a frame that does not end
    bool peer_gave_up_ = false;         ///< its ERROR came and was thrown
    unsigned disks_ = 0;                ///< begun
    TimePoint started_ = Clock::now();  ///< with the disk
    std::uint64_t wire_before_ = 0;     ///< bytes of the control connection, of earlier disks
    TimePoint last_sent_{};
    TimePoint last_heard_ = Clock::now();
};

/// Opens the data connections that `plan` names and adds them to `streams`.
void open_streams(Peers& peers, const PlanMessage& plan, Role ours, Control& control,
                  std::vector<Channel>& streams, std::stop_token stop);

/// Runs `work` while another thread keeps the peer informed, and notices when the peer gives up;
/// returns when `work` has. For what leaves the control connection alone for long: opening streams,
/// flushing, reading back. A message that comes meanwhile is kept for the next turn().
void keep_alive_while(Control& control, std::function<void(std::stop_token)> work,
                      std::stop_token stop);

} // namespace coldspare::clone
