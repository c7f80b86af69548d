// Any bytes as an initramfs: reading must end, stay within its limits, and say so of what is none.
#include "fixup/initramfs_image.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace coldspare::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const InitramfsImage image = read_initramfs(bytes);
    if (image.problem.empty() && image.packing == Packing::unknown) {
        std::abort();
    }
    for (const auto& [name, text] : image.listing.texts) {
        if (!image.listing.members.contains(name) || text.size() > 65536) {
            std::abort();
        }
    }
    return 0;
}
