#include "base/handle.hpp"
#include "fixup/unpack.hpp"

#include <lzma.h>

#include <vector>

namespace coldspare::fixup {

namespace {

constexpr std::size_t piece = std::size_t{1} << 18;
constexpr std::uint64_t most_memory = std::uint64_t{256} << 20;

using Decoder = Handle<lzma_stream, lzma_end>;

} // namespace

Unpacked unpack_xz(std::string_view bytes, Packing packing, const ByteSink& sink) {
    lzma_stream stream = LZMA_STREAM_INIT;
    const lzma_ret ready = packing == Packing::xz ? lzma_stream_decoder(&stream, most_memory, 0)
                                                  : lzma_alone_decoder(&stream, most_memory);
    if (ready != LZMA_OK) {
        return {.problem = "no memory to unpack xz"};
    }
    const Decoder owner(&stream);
    std::vector<char> room(piece);
    stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    stream.avail_in = bytes.size();
    while (true) {
        stream.next_out = reinterpret_cast<std::uint8_t*>(room.data());
        stream.avail_out = room.size();
        const lzma_ret result = lzma_code(&stream, LZMA_RUN);
        const std::size_t consumed = bytes.size() - stream.avail_in;
        const std::size_t made = room.size() - stream.avail_out;
        if (made > 0 && !sink({room.data(), made})) {
            return {.consumed = consumed, .problem = "stopped"};
        }
        if (result == LZMA_STREAM_END) {
            return {.consumed = consumed};
        }
        if (result != LZMA_OK) {
            return {.consumed = consumed,
                    .problem = result == LZMA_BUF_ERROR ? "its xz data end too early"
                                                        : "its xz data are damaged"};
        }
    }
}

} // namespace coldspare::fixup
