#include "base/nearest_word.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace coldspare {

std::string_view nearest_word(std::string_view word, const std::vector<std::string_view>& words) {
    constexpr std::size_t longest_word = 64;
    // Of optimal string alignment: rows for the letters before last, the last and this one.
    const auto distance = [](std::string_view one, std::string_view other) {
        std::vector<std::size_t> before_last;
        std::vector<std::size_t> last(other.size() + 1);
        std::vector<std::size_t> row(other.size() + 1);
        for (std::size_t j = 0; j <= other.size(); ++j) {
            row[j] = j;
        }
        for (std::size_t i = 1; i <= one.size(); ++i) {
            before_last = std::exchange(last, row);
            row[0] = i;
            for (std::size_t j = 1; j <= other.size(); ++j) {
                const std::size_t change = one[i - 1] == other[j - 1] ? 0 : 1;
                row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
                if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1]) {
                    row[j] = std::min(row[j], before_last[j - 2] + 1);
                }
            }
        }
        return row.back();
    };
    std::string_view nearest;
    std::size_t least = word.size() <= 4 ? 2 : word.size() <= 8 ? 3 : 4;
    if (word.size() > longest_word) {
        return nearest;
    }
    for (const std::string_view each : words) {
        if (const std::size_t changes = distance(word, each); changes < least) {
            nearest = each;
            least = changes;
        }
    }
    return nearest;
}

} // namespace coldspare
