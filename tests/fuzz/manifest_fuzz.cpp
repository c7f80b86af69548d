// Any bytes as a manifest, and any bytes as the description and hashes of one whose checksum fits:
// what is believed has one hash per block and the right root.
#include "base/error.hpp"
#include "clone/little_endian.hpp"
#include "clone/manifest.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

using namespace coldspare;
using namespace coldspare::clone;

namespace {

void take(std::string_view content) {
    try {
        const Manifest manifest = parse_manifest(content);
        if (manifest.leaves.size() != manifest.geometry.block_count() ||
            root_of(manifest.geometry, manifest.leaves) != manifest.root) {
            std::abort();
        }
    } catch (const Error&) {
    }
}

/// `text` up to the last brace as the description, the rest as hashes, sealed.
std::string sealed(std::string_view text) {
    const std::size_t length = text.rfind('}') == std::string_view::npos ? 0 : text.rfind('}') + 1;
    std::string content = "COLDSPARE MANIFEST 1\n";
    append_little_endian(content, static_cast<std::uint32_t>(length));
    content += text;
    const Sha256 digest = sha256(std::as_bytes(std::span(content)));
    content.append(reinterpret_cast<const char*>(digest.data()), digest.size());
    return content;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    take(text);
    take(sealed(text));
    return 0;
}
