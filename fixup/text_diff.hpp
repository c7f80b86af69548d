#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coldspare::fixup {

/// The change of a file as `diff -u` writes it, with three lines of context; empty if there is
/// none. No `before` means that the file does not exist yet. A carriage return at a line's end is
/// shown as "^M", other control bytes as '?', because the text is for a person's terminal.
[[nodiscard]] std::string unified_diff(std::string_view path,
                                       const std::optional<std::string>& before,
                                       std::string_view after);

} // namespace coldspare::fixup
