#pragma once

#include <cassert>
#include <cstddef>
#include <string>
#include <string_view>

namespace coldspare::clone {

/// Appends an unsigned number, lowest byte first.
template <typename T>
void append_little_endian(std::string& bytes, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        bytes.push_back(static_cast<char>(value >> (8 * i)));
    }
}

/// The number that stands at `at`; its bytes must be there.
template <typename T>
[[nodiscard]] T read_little_endian(std::string_view bytes, std::size_t at) {
    assert(at + sizeof(T) <= bytes.size());
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<T>(
            value | (static_cast<T>(static_cast<unsigned char>(bytes[at + i])) << (8 * i)));
    }
    return value;
}

} // namespace coldspare::clone
