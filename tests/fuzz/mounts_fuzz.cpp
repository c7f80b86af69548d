// Any bytes as what the kernel tells of devices: mounts, swaps, a page of SCSI, a name of a map.
// What comes out fits a terminal and is no longer than what went in.
#include "base/text.hpp"
#include "clone/holder.hpp"
#include "clone/mounts.hpp"
#include "clone/sysfs.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace coldspare;
using namespace coldspare::clone;

namespace {

void require_fit(const std::string& text, std::size_t most) {
    if (text.size() > most || printable(text) != text) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const Mount& mount : parse_mounts(text)) {
        require_fit(mount.point, size);
        require_fit(mount.source, size);
    }
    for (const std::string& path : parse_swaps(text)) {
        require_fit(path, size);
    }
    require_fit(sysfs::serial_in_page_80(text), size);
    if (volume_group_of(text).size() > size) {
        std::abort();
    }
    return 0;
}
