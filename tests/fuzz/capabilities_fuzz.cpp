// Any bytes as a hypervisor's capabilities: they are understood or refused with an Error, and a
// firmware that is chosen is one that was offered.
#include "base/error.hpp"
#include "standby/capabilities.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace coldspare;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const standby::DomainCapabilities can = standby::parse_domain_capabilities(text);
        const standby::Firmware firmware = standby::choose_firmware(can.loaders);
        if (firmware.code.empty() != firmware.variables.empty() ||
            (!firmware.code.empty() &&
             std::ranges::find(can.loaders, firmware.code) == can.loaders.end())) {
            std::abort();
        }
    } catch (const Error& error) {
        if (error.message().empty()) {
            std::abort();
        }
    }
    return 0;
}
