#include "base/stop.hpp"

#include "base/error.hpp"

#include <csignal>
#include <unistd.h>

namespace coldspare {

namespace {

constexpr int wake_up = SIGUSR2;

/// A signal that the caller ignores stays ignored: nohup(1) must keep a copy alive.
sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, wake_up);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction now {};
        if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) {
            sigaddset(&set, number);
        }
    }
    return set;
}

} // namespace

SignalStop::SignalStop() {
    const sigset_t set = stop_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    waiter_ = std::jthread([this](std::stop_token done) {
        const sigset_t waited = stop_signals();
        for (;;) {
            int number = 0;
            if (sigwait(&waited, &number) != 0 || done.stop_requested()) {
                return;
            }
            if (number == wake_up) {
                continue;
            }
            if (source_.stop_requested()) {
                ::_exit(static_cast<int>(ExitStatus::interrupted));
            }
            source_.request_stop();
        }
    });
}

SignalStop::~SignalStop() {
    waiter_.request_stop();
    // Wakes sigwait(); the signal is blocked in every thread, so nothing else sees it.
    pthread_kill(waiter_.native_handle(), wake_up);
    waiter_.join();
}

} // namespace coldspare
