#include "base/process.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>

namespace coldspare {

namespace {

Command shell(std::string script) {
    return {.argv = {"sh", "-c", std::move(script)}};
}

/// Whether the process is there and not a zombie: after SIGKILL it is gone once somebody reaps it.
bool runs(pid_t pid) {
    try {
        const std::string status =
            read_file("/proc/" + std::to_string(pid) + "/stat", std::size_t{1} << 16);
        return !contains(status, ") Z ");
    } catch (const Error&) {
        return false;
    }
}

/// Waits, with a bound, for what the kernel does on its own time.
template <typename Condition>
bool soon(Condition condition) {
    const TimePoint give_up = Clock::now() + std::chrono::seconds(60);
    while (!condition()) {
        if (Clock::now() > give_up) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

pid_t written_pid(const std::filesystem::path& path) {
    return static_cast<pid_t>(std::stol(read_file(path, 100)));
}

} // namespace

TEST_CASE("both streams of a program are kept apart") {
    const ProcessResult result = run_process(shell("echo out; echo err >&2"));
    CHECK(result.exit_code == 0);
    CHECK(result.out == "out\n");
    CHECK(result.err == "err\n");
}

TEST_CASE("a program that says no is an answer") {
    CHECK(run_process(shell("exit 7")).exit_code == 7);
}

TEST_CASE("a program that a signal ended has 128 and the signal as its exit code") {
    CHECK(run_process(shell("kill -TERM $$")).exit_code == 128 + SIGTERM);
}

TEST_CASE("a program that does not exist is named") {
    const Command command{.argv = {"coldspare-no-such-program"}};
    CHECK_THROWS_WITH_AS(static_cast<void>(run_process(command)),
                         "cannot start 'coldspare-no-such-program': No such file or directory",
                         Error);
}

TEST_CASE("a program gets all of its input and then the end") {
    Command command{.argv = {"wc", "-c"}};
    command.input = std::string(300'000, 'x');
    CHECK(std::stoul(run_process(command).out) == 300'000);
}

TEST_CASE("a program without input reads the end at once") {
    CHECK(run_process({.argv = {"cat"}}).out.empty());
}

TEST_CASE("a program that closes its input early is no failure, whatever SIGPIPE would do") {
    Command command = shell("exec <&-; echo done");
    command.input = std::string(1'000'000, 'x');
    for (const auto disposition : {SIG_DFL, SIG_IGN}) {
        const auto before = std::signal(SIGPIPE, disposition);
        CHECK(run_process(command).out == "done\n");
        std::signal(SIGPIPE, before);
    }
}

TEST_CASE("a program sees the environment that was added and the one that was there") {
    Command command = shell("echo $COLDSPARE_TEST_WORD ${HOME:+home}");
    command.environment = {"COLDSPARE_TEST_WORD=yes", "HOME=/nowhere"};
    CHECK(run_process(command).out == "yes home\n");
}

TEST_CASE("an added variable replaces one of the same name only") {
    ::setenv("COLDSPARE_TEST_WORDY", "kept", 1);
    ::setenv("COLDSPARE_TEST_WORD", "old", 1);
    Command command = shell("echo $COLDSPARE_TEST_WORD $COLDSPARE_TEST_WORDY");
    command.environment = {"COLDSPARE_TEST_WORD=new"};
    CHECK(run_process(command).out == "new kept\n");
    ::unsetenv("COLDSPARE_TEST_WORDY");
    ::unsetenv("COLDSPARE_TEST_WORD");
}

TEST_CASE("a program that outlives its deadline is killed with its children") {
    const TemporaryDirectory directory;
    Command command = shell("cd " + directory.path().string() +
                            "; sleep 1000 & echo $! > child; echo $$ > parent; wait");
    command.deadline = std::chrono::seconds(3);
    CHECK_THROWS_WITH_AS(static_cast<void>(run_process(command)),
                         "'sh' did not end within 3 s and was stopped", Error);
    CHECK(soon([&] { return !runs(written_pid(directory / "parent")); }));
    CHECK(soon([&] { return !runs(written_pid(directory / "child")); }));
}

TEST_CASE("a program that closes its streams and goes on meets its deadline all the same") {
    Command command = shell("exec sleep 1000 >&- 2>&-");
    command.deadline = std::chrono::seconds(1);
    CHECK_THROWS_WITH_AS(static_cast<void>(run_process(command)),
                         "'sh' did not end within 1 s and was stopped", Error);
}

TEST_CASE("a stop ends a program long before its time") {
    std::stop_source source;
    Command command = shell("echo ready; sleep 1000");
    TimePoint asked;
    command.on_line = [&](std::string_view) {
        asked = Clock::now();
        source.request_stop();
    };
    const Error error =
        thrown_by([&] { static_cast<void>(run_process(command, source.get_token())); });
    CHECK(error.status() == ExitStatus::interrupted);
    CHECK(Clock::now() - asked < std::chrono::seconds(60));
}

TEST_CASE("a program that prints more than the limit is stopped") {
    Command command{.argv = {"yes"}};
    command.output_limit = 100'000;
    CHECK_THROWS_WITH_AS(static_cast<void>(run_process(command)),
                         "'yes' printed more than 100000 bytes and was stopped", Error);
}

TEST_CASE("standard error has the same limit") {
    Command command = shell("exec yes >&2");
    command.output_limit = 100'000;
    CHECK_THROWS_WITH_AS(static_cast<void>(run_process(command)),
                         "'sh' printed more than 100000 bytes and was stopped", Error);
}

TEST_CASE("lines come one by one with the unfinished last one") {
    std::string seen;
    Command command = shell("printf 'one\\ntwo\\n\\nlast'");
    command.on_line = [&](std::string_view line) { seen += "[" + std::string(line) + "]"; };
    CHECK(run_process(command).out.empty());
    CHECK(seen == "[one][two][][last]");
}

TEST_CASE("lines may add up to more than the limit") {
    std::size_t lines = 0;
    Command command = shell("i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done");
    command.output_limit = 1000;
    command.on_line = [&](std::string_view) { ++lines; };
    static_cast<void>(run_process(command));
    CHECK(lines == 2000);
}

TEST_CASE("a line without an end is refused") {
    Command command{.argv = {"head", "-c", "1000000", "/dev/zero"}};
    command.output_limit = 1000;
    command.on_line = [](std::string_view) {};
    CHECK(contains(thrown_by([&] { static_cast<void>(run_process(command)); }).message(),
                   "printed a line without an end"));
}

TEST_CASE("a program starts with default signals and none blocked") {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    // Signals 1 to 31; the C library keeps 32 and 33 for itself.
    const ProcessResult result = run_process(
        {.argv = {"sed", "-nE", "s/^Sig(Blk|Ign):.*(.{8})$/\\1 \\2/p", "/proc/self/status"}});
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    const std::vector<std::string_view> lines = split_lines(result.out);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == "Blk 00000000");
    CHECK((std::stoul(std::string(lines[1].substr(4)), nullptr, 16) & 0x7fffffffU) == 0);
}

TEST_CASE("a program is the leader of a process group of its own") {
    const ProcessResult result = run_process(shell("cut -d' ' -f1,5 /proc/$$/stat"));
    const std::size_t blank = result.out.find(' ');
    CHECK(result.out.substr(0, blank) + "\n" == result.out.substr(blank + 1));
}

TEST_CASE("a checked program that fails is told with its words and its last words") {
    CHECK_THROWS_WITH_AS(run_checked(shell("echo nothing here >&2; exit 3")),
                         "'sh -c echo nothing here >&2; exit 3' ended with status 3: nothing here",
                         Error);
}

TEST_CASE("a checked program that fails in silence is told so") {
    CHECK_THROWS_WITH_AS(run_checked({.argv = {"false"}}),
                         "'false' ended with status 1: it printed nothing", Error);
}

TEST_CASE("a checked program that is talkative is cut to the end of its words") {
    const Error error = thrown_by([] {
        run_checked(shell("i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; exit 1"));
    });
    CHECK(contains(error.message(), "line 499"));
    CHECK_FALSE(contains(error.message(), "line 100\n"));
}

} // namespace coldspare
