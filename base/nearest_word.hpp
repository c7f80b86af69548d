#pragma once

#include <string_view>
#include <vector>

namespace coldspare {

/// The word of `words` that is nearest to `word`, if it is near enough to be a slip of the fingers:
/// one change for up to four letters, two for up to eight, three beyond. A change is a letter too
/// many, too few, another, or two exchanged. Empty if there is none.
[[nodiscard]] std::string_view nearest_word(std::string_view word,
                                            const std::vector<std::string_view>& words);

} // namespace coldspare
