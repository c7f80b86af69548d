#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace coldspare {

/// What the program's exit status says; the numbers are a promise (coldspare(8), EXIT STATUS).
enum class ExitStatus : int {
    done = 0,
    failed = 1,
    usage = 2,      ///< wrong usage or configuration
    incomplete = 3, ///< not finished, and safe to resume or waiting for a person
    refused = 4,    ///< it could destroy data, or a gate says no
    locked = 5,     ///< another run holds the lock
    interrupted = 130,
};

/// The word for `status` in the final JSON event: ok, failed, usage, incomplete, refused, locked,
/// interrupted.
[[nodiscard]] std::string_view status_word(ExitStatus status);

/// The reverse of status_word(); `failed` for a word it does not know.
[[nodiscard]] ExitStatus status_from_word(std::string_view word);

/// The one exception. `what()` says what was being done, to what, and why it stopped: lower case,
/// no full stop, names from outside in 'single quotes'. `hint()` says what to do next, or is empty.
class Error : public std::runtime_error {
public:
    explicit Error(std::string message, std::string hint = {},
                   ExitStatus status = ExitStatus::failed);

    [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }
    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    [[nodiscard]] const std::string& hint() const noexcept { return hint_; }
    [[nodiscard]] ExitStatus status() const noexcept { return status_; }

    /// Puts "`context`: " in front of the message.
    void prepend(std::string_view context);

private:
    std::string message_;
    std::string hint_;
    ExitStatus status_;
};

/// An Error whose message is `what` followed by the text of `error_number` (errno(3)).
[[nodiscard]] Error system_error(std::string_view what, int error_number, std::string hint = {});

/// An Error with status 4: "refusing to `what`".
[[nodiscard]] Error refusal(std::string_view what, std::string hint);

/// An Error with status 2.
[[nodiscard]] Error usage_error(std::string message, std::string hint = {});

/// An Error with status 130, thrown where a stop token was seen.
[[nodiscard]] Error interrupted();

} // namespace coldspare
