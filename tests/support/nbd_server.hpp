#pragma once

#include "base/error.hpp"
#include "tests/support/temporary_directory.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace coldspare::clone {

/// An NBD server on a Unix socket, nbdkit with these arguments; it ends with this object.
class NbdServer {
public:
    explicit NbdServer(std::vector<std::string> arguments) {
        // Its socket is there before it listens, the file with its number is not.
        const std::filesystem::path ready = directory_ / "pid";
        std::vector<std::string> words{"nbdkit", "--foreground", "--exit-with-parent", "--unix",
                                       socket(), "--pidfile",    ready.string()};
        words.insert(words.end(), arguments.begin(), arguments.end());
        std::vector<char*> argv;
        for (std::string& word : words) {
            argv.push_back(word.data());
        }
        argv.push_back(nullptr);
        posix_spawn_file_actions_t quiet{}; // What it says of failures is wanted in no log.
        ::posix_spawn_file_actions_init(&quiet);
        ::posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        const int failed = ::posix_spawnp(&pid_, "nbdkit", &quiet, nullptr, argv.data(), environ);
        ::posix_spawn_file_actions_destroy(&quiet);
        if (failed != 0) {
            throw system_error("cannot start nbdkit", failed, "run scripts/setup");
        }
        while (!std::filesystem::exists(ready)) {
            if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
                throw Error("nbdkit ended before it listened");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    }
    ~NbdServer() { end(); }
    NbdServer(const NbdServer&) = delete;
    NbdServer& operator=(const NbdServer&) = delete;

    void end() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            pid_ = 0;
        }
    }

    [[nodiscard]] std::string uri(const std::string& name = {}) const {
        return "nbd+unix:///" + name + "?socket=" + socket();
    }

private:
    [[nodiscard]] std::string socket() const { return (directory_ / "nbd.sock").string(); }

    TemporaryDirectory directory_;
    pid_t pid_ = 0;
};

} // namespace coldspare::clone
