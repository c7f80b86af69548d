#include "fixup/unpack.hpp"

#include <lz4.h>

#include <cstdint>
#include <vector>

// The "legacy" form: a magic, then blocks of a length and that many bytes. It has no end mark: the
// kernel takes a length of zero (padding) for the end, and so do we.

namespace coldspare::fixup {

namespace {

constexpr std::uint32_t magic = 0x184c2102;
constexpr int block_bytes = 8 << 20;
constexpr std::size_t length_bytes = 4;

std::uint32_t little_endian(std::string_view bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = length_bytes; i-- > 0;) {
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
}

} // namespace

Unpacked unpack_lz4(std::string_view bytes, const ByteSink& sink) {
    std::vector<char> room(block_bytes);
    std::size_t at = length_bytes; // behind the magic
    while (bytes.size() >= at + length_bytes) {
        const std::uint32_t length = little_endian(bytes.substr(at, length_bytes));
        if (length == 0) {
            return {.consumed = at};
        }
        at += length_bytes;
        if (length == magic) {
            continue;
        }
        if (length > static_cast<std::uint32_t>(LZ4_compressBound(block_bytes)) ||
            length > bytes.size() - at) {
            return {.consumed = at, .problem = "its lz4 data end too early"};
        }
        const int made = LZ4_decompress_safe(bytes.data() + at, room.data(),
                                             static_cast<int>(length), block_bytes);
        if (made < 0) {
            return {.consumed = at, .problem = "its lz4 data are damaged"};
        }
        at += length;
        if (!sink({room.data(), static_cast<std::size_t>(made)})) {
            return {.consumed = at, .problem = "stopped"};
        }
    }
    return {.consumed = bytes.size()};
}

} // namespace coldspare::fixup
