#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare {

/// "4.0 GiB", "512 bytes": binary units, one decimal.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

/// "0:42", "1:03:07" for a number of seconds.
[[nodiscard]] std::string format_duration(double seconds);

/// Lower-case hexadecimal, two digits a byte, and back (nothing if it is not exactly that).
[[nodiscard]] std::string to_hex(std::string_view bytes);
[[nodiscard]] std::optional<std::string> from_hex(std::string_view text);

/// The lines of `text` without their newlines; a last line without one counts.
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text);

/// `text` without blanks (space, tab, CR, LF) at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);

/// The words of `line`, between spaces and tabs.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line);

/// `text` with every byte that a terminal would act on, or that is not UTF-8, replaced by '?': for
/// names from outside.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace coldspare
