#pragma once

#include "cli/output.hpp"

#include <string>
#include <vector>

namespace coldspare::cli {

using Row = std::vector<std::string>;

/// Prints columns as wide as their widest word, two blanks apart, and two blanks before the first.
void print_table(Output& output, const std::vector<Row>& rows);

/// The text, or "-" if there is none.
[[nodiscard]] std::string or_dash(const std::string& text);

} // namespace coldspare::cli
