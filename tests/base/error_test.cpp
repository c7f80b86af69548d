#include "base/error.hpp"

#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <utility>

namespace coldspare {

TEST_CASE("every exit status has its word and every word its status") {
    constexpr std::array<std::pair<ExitStatus, std::string_view>, 7> table{{
        {ExitStatus::done, "ok"},
        {ExitStatus::failed, "failed"},
        {ExitStatus::usage, "usage"},
        {ExitStatus::incomplete, "incomplete"},
        {ExitStatus::refused, "refused"},
        {ExitStatus::locked, "locked"},
        {ExitStatus::interrupted, "interrupted"},
    }};
    for (const auto& [status, word] : table) {
        CAPTURE(word);
        CHECK(status_word(status) == word);
        CHECK(status_from_word(word) == status);
    }
}

TEST_CASE("the exit statuses are the promised numbers") {
    CHECK(static_cast<int>(ExitStatus::done) == 0);
    CHECK(static_cast<int>(ExitStatus::failed) == 1);
    CHECK(static_cast<int>(ExitStatus::usage) == 2);
    CHECK(static_cast<int>(ExitStatus::incomplete) == 3);
    CHECK(static_cast<int>(ExitStatus::refused) == 4);
    CHECK(static_cast<int>(ExitStatus::locked) == 5);
    CHECK(static_cast<int>(ExitStatus::interrupted) == 130);
}

TEST_CASE("a status word that is not known means failed") {
    for (const std::string_view word : {"", "OK", "done", "success"}) {
        CAPTURE(word);
        CHECK(status_from_word(word) == ExitStatus::failed);
    }
}

TEST_CASE("context is put before the message and changes nothing else") {
    Error error("cannot read", "try again", ExitStatus::refused);
    error.prepend("cloning 'sda2'");
    CHECK(error.message() == "cloning 'sda2': cannot read");
    CHECK(std::string_view(error.what()) == "cloning 'sda2': cannot read");
    CHECK(error.hint() == "try again");
    CHECK(error.status() == ExitStatus::refused);
}

TEST_CASE("a system error ends with the system's words") {
    CHECK(system_error("cannot write to 'x'", ENOSPC).message() ==
          "cannot write to 'x': No space left on device");
}

TEST_CASE("an error number that nobody knows still gives a sentence") {
    CHECK(system_error("cannot write", 99999).message() == "cannot write: unknown system error");
}

TEST_CASE("a refusal says so and has status 4") {
    const Error error = refusal("overwrite 'x'", "say --erase");
    CHECK(error.message() == "refusing to overwrite 'x'");
    CHECK(error.hint() == "say --erase");
    CHECK(error.status() == ExitStatus::refused);
}

TEST_CASE("a usage error has status 2 and an interruption 130") {
    CHECK(usage_error("what").status() == ExitStatus::usage);
    CHECK(interrupted().status() == ExitStatus::interrupted);
    CHECK(interrupted().message() == "interrupted");
}

} // namespace coldspare
