#pragma once

#include "cli/output.hpp"

#include <stop_token>
#include <string>
#include <string_view>

namespace coldspare::cli {

/// Whether there is a person to be asked: text form, and standard input and error are a terminal.
[[nodiscard]] bool can_ask(const Output& output);

/// Prints `prompt` without a newline and waits for a line. Empty if the input ends first. Throws
/// Error (status 130) when it is stopped.
[[nodiscard]] std::string ask(Output& output, std::string_view prompt, std::stop_token stop);

} // namespace coldspare::cli
