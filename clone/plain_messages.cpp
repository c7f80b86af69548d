// The messages whose payload is not an object of the protocol's own: numbers, and an inventory.
#include "base/inventory.hpp"
#include "clone/little_endian.hpp"
#include "clone/messages.hpp"
#include "clone/wire.hpp"

#include <fmt/format.h>

namespace coldspare::clone {

std::string encode(const DurableMessage& durable) {
    std::string payload;
    append_little_endian(payload, durable.epoch);
    append_little_endian(payload, durable.bytes);
    return payload;
}

DurableMessage parse_durable(std::string_view payload) {
    if (payload.size() != 2 * sizeof(std::uint64_t)) {
        throw protocol_error("DURABLE: not two numbers");
    }
    return {read_little_endian<std::uint64_t>(payload, 0),
            read_little_endian<std::uint64_t>(payload, sizeof(std::uint64_t))};
}

std::string encode(const CreditMessage& credit) {
    std::string payload;
    append_little_endian(payload, credit.until);
    return payload;
}

CreditMessage parse_credit(std::string_view payload) {
    if (payload.size() != sizeof(std::uint64_t)) {
        throw protocol_error("CREDIT: not a number");
    }
    return {read_little_endian<std::uint64_t>(payload, 0)};
}

void check_inventory(std::string_view payload) {
    try {
        static_cast<void>(parse_inventory(payload));
    } catch (const Error& error) {
        throw protocol_error(fmt::format("INVENTORY: {}", error.message()));
    }
}

} // namespace coldspare::clone
