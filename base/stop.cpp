#include "base/stop.hpp"

#include "base/error.hpp"

#include <csignal>
#include <ctime>
#include <unistd.h>

namespace coldspare {

namespace {

sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

} // namespace

SignalStop::SignalStop() {
    const sigset_t set = stop_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    waiter_ = std::jthread([this](std::stop_token done) {
        const sigset_t waited = stop_signals();
        const timespec slice{.tv_sec = 0, .tv_nsec = 100'000'000};
        while (!done.stop_requested()) {
            if (sigtimedwait(&waited, nullptr, &slice) < 0) {
                continue;
            }
            if (source_.stop_requested()) {
                ::_exit(static_cast<int>(ExitStatus::interrupted));
            }
            source_.request_stop();
        }
    });
}

SignalStop::~SignalStop() = default;

} // namespace coldspare
