#pragma once

#include <stop_token>
#include <thread>

namespace coldspare {

/// Turns SIGINT, SIGTERM and SIGHUP into a stop token. Make one at the start of `main`, before any
/// other thread: it blocks those signals, but for one that is ignored (nohup(1)), for all threads
/// (children of run_process() get them back). The first signal asks to stop; the second ends the
/// process at once with status 130. Also ignores SIGPIPE, so that a peer that went away is an error
/// of write(2).
class SignalStop {
public:
    SignalStop();
    ~SignalStop();
    SignalStop(const SignalStop&) = delete;
    SignalStop& operator=(const SignalStop&) = delete;

    [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

private:
    std::stop_source source_;
    std::jthread waiter_;
};

} // namespace coldspare
