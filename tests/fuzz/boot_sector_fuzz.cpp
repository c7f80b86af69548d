// Any bytes as the start of a disk: what is found must lie where it can be read, and comparing must
// end.
#include "fixup/grub_image.hpp"
#include "fixup/grub_legacy_image.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace coldspare::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view disk(reinterpret_cast<const char*>(data), size);
    const std::string_view sector = disk.substr(0, 512);
    const BootSector kind = boot_sector_kind(sector);
    if ((core_offset(sector).has_value() && kind != BootSector::grub2) ||
        (legacy_jump(sector).has_value() && kind != BootSector::grub_legacy)) {
        std::abort();
    }
    const DosStarts starts = dos_starts(sector);
    if (starts.active != 0 && starts.active < starts.first) {
        std::abort();
    }
    const std::string_view rest = disk.substr(std::min<std::size_t>(size, 512));
    if ((rest.size() > 0x270 && !same_stage(rest, rest)) ||
        (rest.size() > 1024 && !same_core(rest, rest))) {
        std::abort();
    }
    return 0;
}
