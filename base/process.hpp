#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare {

/// What to run and within which bounds. There is no shell: `argv[0]` is looked up in PATH.
struct Command {
    std::vector<std::string> argv;
    std::string input;                    ///< given to standard input, then closed
    std::vector<std::string> environment; ///< "NAME=value", added to ours
    std::chrono::seconds deadline{60};    ///< after it the whole process group is killed
    std::size_t output_limit = std::size_t{4}
                               << 20; ///< bytes kept of each stream; more is an Error
    /// Called with every whole line of standard output (without its newline) as it comes, from the
    /// calling thread. Lines are then not kept in `ProcessResult::out`.
    std::function<void(std::string_view)> on_line;
};

/// How it ended. A program that says no is an answer, not an Error.
struct ProcessResult {
    int exit_code = 0; ///< as a shell would say it: 128 + N when signal N ended it
    std::string out;
    std::string err;
};

/// Runs the command in a process group of its own, with default signals, and blocks until it has
/// ended. Throws Error if it cannot be started, outlives its deadline or prints too much, and
/// interrupted() if `stop` is asked for; in each case the group was killed and reaped first.
[[nodiscard]] ProcessResult run_process(const Command& command, std::stop_token stop = {});

/// run_process(), and an exit code other than 0 is an Error with the program's last words.
ProcessResult run_checked(const Command& command, std::stop_token stop = {});

} // namespace coldspare
