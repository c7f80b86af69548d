#include "base/handle.hpp"
#include "fixup/unpack.hpp"

#include <zstd.h>

#include <vector>

namespace coldspare::fixup {

namespace {

using Stream = Handle<ZSTD_DStream, ZSTD_freeDStream>;

} // namespace

Unpacked unpack_zstd(std::string_view bytes, const ByteSink& sink) {
    const Stream stream(ZSTD_createDStream());
    if (!stream) {
        return {.problem = "no memory to unpack zstd"};
    }
    std::vector<char> room(ZSTD_DStreamOutSize());
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    while (true) {
        ZSTD_outBuffer output{room.data(), room.size(), 0};
        const std::size_t before = input.pos;
        const std::size_t left = ZSTD_decompressStream(stream.get(), &output, &input);
        if (ZSTD_isError(left) != 0) {
            return {.consumed = input.pos, .problem = "its zstd data are damaged"};
        }
        if (output.pos > 0 && !sink({room.data(), output.pos})) {
            return {.consumed = input.pos, .problem = "stopped"};
        }
        if (left == 0) {
            return {.consumed = input.pos};
        }
        if (input.pos == before && output.pos == 0) {
            return {.consumed = input.pos, .problem = "its zstd data end too early"};
        }
    }
}

} // namespace coldspare::fixup
