#include "base/process.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/handle.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace coldspare {

namespace {

struct Pipe {
    Fd read_end;
    Fd write_end;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw system_error("cannot create a pipe", errno);
    }
    return {Fd(ends[0]), Fd(ends[1])};
}

struct FileActions {
    posix_spawn_file_actions_t actions{};
    FileActions() { posix_spawn_file_actions_init(&actions); }
    ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
};

struct SpawnAttributes {
    posix_spawnattr_t attributes{};
    SpawnAttributes() {
        posix_spawnattr_init(&attributes);
        sigset_t none;
        sigemptyset(&none);
        sigset_t all;
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETPGROUP);
    }
    ~SpawnAttributes() { posix_spawnattr_destroy(&attributes); }
    SpawnAttributes(const SpawnAttributes&) = delete;
    SpawnAttributes& operator=(const SpawnAttributes&) = delete;
};

/// The child: killed with its group and reaped unless it was waited for.
class Child {
public:
    explicit Child(pid_t pid) : pid_(pid) {}
    ~Child() {
        if (pid_ > 0) {
            ::kill(-pid_, SIGKILL);
            static_cast<void>(wait());
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        return exit_code(status);
    }

    /// wait(), but nothing if the child has not ended yet.
    std::optional<int> poll() {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) != pid_) {
            return std::nullopt;
        }
        return exit_code(status);
    }

private:
    int exit_code(int status) {
        pid_ = -1;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

    pid_t pid_;
};

std::vector<char*> c_strings(const std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (const std::string& string : strings) {
        pointers.push_back(const_cast<char*>(string.c_str()));
    }
    pointers.push_back(nullptr);
    return pointers;
}

std::vector<std::string> environment_with(const std::vector<std::string>& added) {
    std::vector<std::string> result = added;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const std::string_view name = text.substr(0, text.find('=') + 1);
        bool replaced = false;
        for (const std::string& own : added) {
            replaced = replaced || std::string_view(own).starts_with(name);
        }
        if (!replaced) {
            result.emplace_back(text);
        }
    }
    return result;
}

/// Hands out the whole lines of a stream that comes in pieces.
class LineSplitter {
public:
    LineSplitter(const std::function<void(std::string_view)>& on_line, std::size_t limit)
        : on_line_(on_line), limit_(limit) {}

    void add(std::string_view piece) {
        pending_ += piece;
        std::size_t start = 0;
        for (std::size_t end = pending_.find('\n'); end != std::string::npos;
             end = pending_.find('\n', start)) {
            on_line_(std::string_view(pending_).substr(start, end - start));
            start = end + 1;
        }
        pending_.erase(0, start);
        if (pending_.size() > limit_) {
            throw Error("printed a line without an end");
        }
    }
    void finish() {
        if (!pending_.empty()) {
            on_line_(pending_);
        }
    }

private:
    const std::function<void(std::string_view)>& on_line_;
    std::size_t limit_;
    std::string pending_;
};

/// Reads what is there. Returns whether the stream goes on.
bool take(Fd& fd, std::string& into) {
    std::array<char, 65536> chunk;
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got > 0) {
        into.append(chunk.data(), static_cast<std::size_t>(got));
    }
    const bool open = got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (!open) {
        fd.reset();
    }
    return open;
}

/// write(), but a program that no longer reads is EPIPE and never a signal, whatever the caller
/// made of SIGPIPE.
ssize_t write_without_signal(int fd, std::string_view text) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    const ssize_t put = ::write(fd, text.data(), text.size());
    const int error = errno;
    if (put < 0 && error == EPIPE) {
        const timespec at_once{};
        ::sigtimedwait(&pipe, nullptr,
                       &at_once); // The signal goes to the thread that wrote (pipe(7)).
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return put;
}

} // namespace

ProcessResult run_process(const Command& command, std::stop_token stop) {
    Pipe in = make_pipe();
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    FileActions actions;
    posix_spawn_file_actions_adddup2(&actions.actions, in.read_end.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions.actions, out.write_end.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions.actions, err.write_end.get(), STDERR_FILENO);
    const SpawnAttributes attributes;
    const std::vector<std::string> environment = environment_with(command.environment);
    pid_t pid = -1;
    const int spawned =
        posix_spawnp(&pid, command.argv.front().c_str(), &actions.actions, &attributes.attributes,
                     c_strings(command.argv).data(), c_strings(environment).data());
    if (spawned != 0) {
        throw system_error(fmt::format("cannot start '{}'", command.argv.front()), spawned);
    }
    Child child(pid);
    in.read_end.reset();
    out.write_end.reset();
    err.write_end.reset();
    ::fcntl(in.write_end.get(), F_SETFL, O_NONBLOCK);
    if (command.input.empty()) {
        in.write_end.reset();
    }

    ProcessResult result;
    LineSplitter lines(command.on_line, command.output_limit);
    std::size_t fed = 0;
    const TimePoint deadline = Clock::now() + command.deadline;
    const auto check_bounds = [&] {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        if (Clock::now() > deadline) {
            throw Error(fmt::format("'{}' did not end within {} s and was stopped",
                                    command.argv.front(), command.deadline.count()));
        }
    };
    while (out.read_end || err.read_end) {
        check_bounds();
        std::array<pollfd, 3> waits{{{.fd = out.read_end.get(), .events = POLLIN, .revents = 0},
                                     {.fd = err.read_end.get(), .events = POLLIN, .revents = 0},
                                     {.fd = in.write_end.get(), .events = POLLOUT, .revents = 0}}};
        if (::poll(waits.data(), waits.size(), 100) < 0 && errno != EINTR) {
            throw system_error("cannot wait for a process", errno);
        }
        if (waits[2].revents != 0) {
            const ssize_t put = write_without_signal(in.write_end.get(),
                                                     std::string_view(command.input).substr(fed));
            fed += put > 0 ? static_cast<std::size_t>(put) : 0;
            if (fed == command.input.size() || (put < 0 && errno != EAGAIN && errno != EINTR)) {
                in.write_end.reset();
            }
        }
        if (waits[0].revents != 0) {
            take(out.read_end, result.out);
            if (command.on_line) {
                lines.add(result.out);
                result.out.clear();
            }
        }
        if (waits[1].revents != 0) {
            take(err.read_end, result.err);
        }
        if (result.out.size() > command.output_limit || result.err.size() > command.output_limit) {
            throw Error(fmt::format("'{}' printed more than {} bytes and was stopped",
                                    command.argv.front(), command.output_limit));
        }
    }
    if (command.on_line) {
        lines.finish();
    }
    // A program may close its streams and go on; its bounds hold until it has ended.
    std::optional<int> exit_code = child.poll();
    for (; !exit_code; exit_code = child.poll()) {
        check_bounds();
        ::poll(nullptr, 0, 10);
    }
    result.exit_code = *exit_code;
    return result;
}

ProcessResult run_checked(const Command& command, std::stop_token stop) {
    ProcessResult result = run_process(command, stop);
    if (result.exit_code != 0) {
        std::string words = result.err.empty() ? result.out : result.err;
        while (!words.empty() && words.back() == '\n') {
            words.pop_back();
        }
        if (words.size() > 1000) {
            words = "... " + words.substr(words.size() - 1000);
        }
        throw Error(fmt::format("'{}' ended with status {}: {}", fmt::join(command.argv, " "),
                                result.exit_code, words.empty() ? "it printed nothing" : words));
    }
    return result;
}

} // namespace coldspare
