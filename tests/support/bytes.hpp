#pragma once

#include <cstring>
#include <span>

namespace coldspare::clone {

/// Equality for disks' worth of bytes. std::ranges::equal calls seven functions per byte where
/// nothing is inlined, which under the sanitizers is most of a test's time.
inline bool same_bytes(std::span<const std::byte> left, std::span<const std::byte> right) {
    return left.size() == right.size() &&
           (left.empty() || std::memcmp(left.data(), right.data(), left.size()) == 0);
}

} // namespace coldspare::clone
