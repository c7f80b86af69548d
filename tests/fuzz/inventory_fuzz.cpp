// Any bytes as an inventory: it is understood or refused with an Error, and what was understood
// comes back when it is written and read once more. And any bytes as a load option of UEFI, and as
// the kernel's answer about its network interfaces.
#include "base/error.hpp"
#include "base/inventory.hpp"
#include "clone/inventory_parts.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

using namespace coldspare;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const Inventory all = parse_inventory(text);
        for (const NicFacts& nic : all.nics) {
            require(is_interface_name(nic.name));
            require(nic.mac.empty() || normal_mac(nic.mac) == nic.mac);
        }
        const std::string written = encode_inventory(all);
        require(written.size() <= largest_inventory);
        // Writing leaves out what is empty or long; after that nothing more goes.
        const Inventory once = parse_inventory(written);
        require(parse_inventory(encode_inventory(once)) == once);
    } catch (const Error& error) {
        require(!error.message().empty());
    }
    static_cast<void>(clone::inventory::partition_of_load_option(text));
    static_cast<void>(clone::inventory::without_passwords(text));
    static_cast<void>(clone::parse_links(std::as_bytes(std::span(data, size))));
    return 0;
}
