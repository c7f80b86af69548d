#include "fixup/unpack.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace coldspare::fixup {

using namespace std::string_view_literals;

namespace {

/// As in the kernel's lib/decompress.c.
constexpr std::array<std::pair<std::string_view, Packing>, 10> magics{
    {{"\x1f\x8b"sv, Packing::gzip},
     {"\x1f\x9e"sv, Packing::gzip},
     {"BZh"sv, Packing::bzip2},
     {"\x5d\0\0"sv, Packing::lzma},
     {"\xfd\x37zXZ\0"sv, Packing::xz},
     {"\x89LZO"sv, Packing::lzo},
     {"\x02\x21\x4c\x18"sv, Packing::lz4},
     {"\x28\xb5\x2f\xfd"sv, Packing::zstd},
     {"070701"sv, Packing::none},
     {"070702"sv, Packing::none}}};

} // namespace

std::string_view packing_word(Packing packing) {
    switch (packing) {
    case Packing::unknown:
        return "an unknown format";
    case Packing::none:
        return "nothing";
    case Packing::gzip:
        return "gzip";
    case Packing::xz:
        return "xz";
    case Packing::lzma:
        return "lzma";
    case Packing::zstd:
        return "zstd";
    case Packing::lz4:
        return "lz4";
    case Packing::bzip2:
        return "bzip2";
    case Packing::lzo:
        return "lzo";
    }
    return {};
}

Packing packing_of(std::string_view bytes) {
    for (const auto& [magic, packing] : magics) {
        if (bytes.starts_with(magic)) {
            return packing;
        }
    }
    return Packing::unknown;
}

Unpacked unpack(Packing packing, std::string_view bytes, const ByteSink& sink) {
    switch (packing) {
    case Packing::gzip:
        return unpack_gzip(bytes, sink);
    case Packing::xz:
    case Packing::lzma:
        return unpack_xz(bytes, packing, sink);
    case Packing::zstd:
        return unpack_zstd(bytes, sink);
    case Packing::lz4:
        return unpack_lz4(bytes, sink);
    case Packing::unknown:
    case Packing::none:
    case Packing::bzip2:
    case Packing::lzo:
        break;
    }
    return {.problem = fmt::format("{} is not unpacked here", packing_word(packing))};
}

} // namespace coldspare::fixup
