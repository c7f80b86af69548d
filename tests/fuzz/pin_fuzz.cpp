// Any bytes as the file of a pair: what is believed has a good name and comes back the same.
#include "base/error.hpp"
#include "clone/pins.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace coldspare;
using namespace coldspare::clone;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const Pin pin = parse_pin(text);
        check_pin_name(pin.name);
        if (parse_pin(encode(pin)) != pin) {
            std::abort();
        }
    } catch (const Error& error) {
        if (error.message().empty() || error.status() != ExitStatus::failed) {
            std::abort();
        }
    }
    return 0;
}
