#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace coldspare::fixup {

/// How an archive in an initramfs is packed.
enum class Packing { unknown, none, gzip, xz, lzma, zstd, lz4, bzip2, lzo };

/// "gzip", "xz", ...
[[nodiscard]] std::string_view packing_word(Packing packing);

/// What the kernel takes these bytes for, by their first ones.
[[nodiscard]] Packing packing_of(std::string_view bytes);

/// Takes unpacked bytes; false ends the unpacking.
using ByteSink = std::function<bool(std::string_view)>;

struct Unpacked {
    std::size_t consumed = 0; ///< packed bytes, up to the end of this stream
    std::string problem;      ///< why it ended early, or empty
};

/// Unpacks the one stream that `bytes` begin with and hands it on piece by piece, never more than
/// 8 MiB at once. For gzip, xz, lzma, zstd and lz4 (the "legacy" form that the kernel reads).
[[nodiscard]] Unpacked unpack(Packing packing, std::string_view bytes, const ByteSink& sink);

/// The formats of unpack(), each in the file that has its library.
[[nodiscard]] Unpacked unpack_gzip(std::string_view bytes, const ByteSink& sink);
[[nodiscard]] Unpacked unpack_xz(std::string_view bytes, Packing packing, const ByteSink& sink);
[[nodiscard]] Unpacked unpack_zstd(std::string_view bytes, const ByteSink& sink);
[[nodiscard]] Unpacked unpack_lz4(std::string_view bytes, const ByteSink& sink);

} // namespace coldspare::fixup
