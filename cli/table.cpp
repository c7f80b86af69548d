#include "cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::cli {

void print_table(Output& output, const std::vector<Row>& rows) {
    std::vector<std::size_t> widths;
    for (const Row& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    for (const Row& row : rows) {
        std::string line = " ";
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += fmt::format(" {:<{}} ", row[i], widths[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        output.line(line);
    }
}

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : text;
}

} // namespace coldspare::cli
