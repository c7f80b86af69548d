#include "base/error.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <utility>

namespace coldspare {

namespace {

struct StatusWord {
    ExitStatus status;
    std::string_view word;
};

constexpr std::array<StatusWord, 7> status_words{{
    {ExitStatus::done, "ok"},
    {ExitStatus::failed, "failed"},
    {ExitStatus::usage, "usage"},
    {ExitStatus::incomplete, "incomplete"},
    {ExitStatus::refused, "refused"},
    {ExitStatus::locked, "locked"},
    {ExitStatus::interrupted, "interrupted"},
}};

} // namespace

std::string_view status_word(ExitStatus status) {
    for (const StatusWord& entry : status_words) {
        if (entry.status == status) {
            return entry.word;
        }
    }
    return "failed";
}

ExitStatus status_from_word(std::string_view word) {
    for (const StatusWord& entry : status_words) {
        if (entry.word == word) {
            return entry.status;
        }
    }
    return ExitStatus::failed;
}

Error::Error(std::string message, std::string hint, ExitStatus status)
    : std::runtime_error(message), message_(std::move(message)), hint_(std::move(hint)),
      status_(status) {}

void Error::prepend(std::string_view context) {
    message_ = fmt::format("{}: {}", context, message_);
}

Error system_error(std::string_view what, int error_number, std::string hint) {
    return Error(fmt::format("{}: {}", what,
                             strerrordesc_np(error_number) != nullptr
                                 ? strerrordesc_np(error_number)
                                 : "unknown system error"),
                 std::move(hint));
}

Error refusal(std::string_view what, std::string hint) {
    return Error(fmt::format("refusing to {}", what), std::move(hint), ExitStatus::refused);
}

Error usage_error(std::string message, std::string hint) {
    return Error(std::move(message), std::move(hint), ExitStatus::usage);
}

Error interrupted() {
    return Error("interrupted", {}, ExitStatus::interrupted);
}

} // namespace coldspare
