#pragma once

#include "base/error.hpp"

#include <doctest/doctest.h>

#include <string_view>

namespace coldspare {

/// The Error that `action` throws: for tests that look at its status or hint as well.
template <typename Action>
[[nodiscard]] Error thrown_by(Action action) {
    try {
        action();
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    return Error("nothing was thrown");
}

/// Whether `text` has `part` in it.
[[nodiscard]] inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

} // namespace coldspare
