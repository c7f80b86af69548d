// Any bytes as a settings file, as insserv's order, as fstab and as a marker: every reader must
// end, an edit must change what it is asked to and nothing when it runs a second time.
#include "fixup/hold_ways.hpp"
#include "fixup/iscsi_nodes.hpp"
#include "fixup/marker.hpp"
#include "fixup/settings.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace coldspare::fixup;

namespace {

void require(const bool holds) {
    if (!holds) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto keep = [](const Setting&) { return std::optional<std::string>(); };
    const auto change = [](const Setting& setting) {
        return setting.value == "no" ? std::optional<std::string>()
                                     : std::optional<std::string>("no");
    };
    for (const char separator : {'=', ':'}) {
        require(with_settings(text, separator, keep) == text);
        const std::string once = with_settings(text, separator, change);
        require(with_settings(once, separator, change) == once);
    }
    const std::string without = without_script(text, "a");
    require(without_script(without, "a") == without && without.size() <= text.size());
    require(network_block_mounts(text).size() <= size);
    if (const std::optional<Marker> marker = parse_marker(text)) {
        require(parse_marker(encode_marker(merged(*marker, *marker))).has_value());
    }
    return 0;
}
