#include "base/handle.hpp"
#include "fixup/unpack.hpp"

#include <zlib.h>

#include <algorithm>
#include <climits>
#include <vector>

namespace coldspare::fixup {

namespace {

constexpr std::size_t piece = std::size_t{1} << 18;
constexpr int gzip_header_only = MAX_WBITS + 16;

using Inflation = Handle<z_stream, inflateEnd>;

} // namespace

Unpacked unpack_gzip(std::string_view bytes, const ByteSink& sink) {
    z_stream stream{};
    if (inflateInit2(&stream, gzip_header_only) != Z_OK) {
        return {.problem = "no memory to unpack gzip"};
    }
    const Inflation owner(&stream);
    std::vector<char> room(piece);
    std::size_t at = 0;
    while (true) {
        const std::size_t part = std::min<std::size_t>(bytes.size() - at, INT_MAX);
        // zlib only reads what next_in points to.
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + at));
        stream.avail_in = static_cast<uInt>(part);
        stream.next_out = reinterpret_cast<Bytef*>(room.data());
        stream.avail_out = static_cast<uInt>(room.size());
        const int result = inflate(&stream, Z_NO_FLUSH);
        at += part - stream.avail_in;
        const std::size_t made = room.size() - stream.avail_out;
        if (made > 0 && !sink({room.data(), made})) {
            return {.consumed = at, .problem = "stopped"};
        }
        if (result == Z_STREAM_END) {
            return {.consumed = at};
        }
        if (result != Z_OK) {
            return {.consumed = at,
                    .problem = at == bytes.size() ? "its gzip data end too early"
                                                  : "its gzip data are damaged"};
        }
    }
}

} // namespace coldspare::fixup
