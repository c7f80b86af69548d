#pragma once

#include <string>
#include <string_view>

namespace coldspare::fixup {

/// `text` as one word of a POSIX shell.
[[nodiscard]] std::string shell_quoted(std::string_view text);

/// What a command printed, on one line for an Error: lines joined by "; ", nothing that a terminal
/// would act on; of a long text the last `limit` bytes.
[[nodiscard]] std::string last_words(std::string_view text, std::size_t limit);

} // namespace coldspare::fixup
