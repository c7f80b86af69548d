#include "base/stop.hpp"

#include "base/clock.hpp"

#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

namespace coldspare {

namespace {

/// Runs `life` in a process of its own, as `main` would, and returns how it ended: signals are a
/// matter of the whole process.
template <typename Life>
int status_of_child(Life life) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::alarm(120);
        ::_exit(life());
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool wait_for(const std::stop_token& token) {
    const TimePoint give_up = Clock::now() + std::chrono::seconds(60);
    while (!token.stop_requested()) {
        if (Clock::now() > give_up) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

} // namespace

TEST_CASE("each of the three signals asks to stop") {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        CAPTURE(signal);
        CHECK(status_of_child([signal] {
                  const SignalStop stop;
                  if (stop.token().stop_requested()) {
                      return 1;
                  }
                  ::kill(::getpid(), signal);
                  return wait_for(stop.token()) ? 42 : 2;
              }) == 42);
    }
}

TEST_CASE("the second signal ends the process at once with status 130") {
    CHECK(status_of_child([] {
              const SignalStop stop;
              ::kill(::getpid(), SIGINT);
              if (!wait_for(stop.token())) {
                  return 2;
              }
              for (;;) {
                  ::kill(::getpid(), SIGINT);
                  std::this_thread::yield();
              }
          }) == 130);
}

TEST_CASE("a signal that was ignored before stays ignored, as nohup wants") {
    CHECK(status_of_child([] {
              std::signal(SIGHUP, SIG_IGN);
              const SignalStop stop;
              ::kill(::getpid(), SIGHUP);
              ::kill(::getpid(), SIGUSR2); // is handled after it, and asks for nothing
              if (stop.token().stop_requested()) {
                  return 1;
              }
              ::kill(::getpid(), SIGTERM);
              return wait_for(stop.token()) ? 42 : 2;
          }) == 42);
}

TEST_CASE("a pipe without a reader is an error of writing and not a death") {
    CHECK(status_of_child([] {
              const SignalStop stop;
              std::array<int, 2> ends{};
              if (::pipe(ends.data()) != 0) {
                  return 1;
              }
              ::close(ends[0]);
              return ::write(ends[1], "x", 1) == -1 && errno == EPIPE ? 42 : 2;
          }) == 42);
}

} // namespace coldspare
