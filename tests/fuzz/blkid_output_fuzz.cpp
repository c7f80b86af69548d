// Labels of a copied system's volumes are in it.
#include "fixup/blkid_output.hpp"

#include <cstddef>
#include <cstdint>

using namespace coldspare::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& [device, properties] : parse_blkid(text)) {
        static_cast<void>(blkid_number(properties, "PART_ENTRY_OFFSET"));
    }
    return 0;
}
