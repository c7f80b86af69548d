#include "standby/name_uuid.hpp"

#include "base/text.hpp"
#include "clone/digest.hpp"

#include <fmt/format.h>

#include <array>

namespace coldspare::standby {

namespace {

/// RFC 9562 6.6: 6ba7b811-9dad-11d1-80b4-00c04fd430c8.
constexpr std::string_view url_name_space("\x6b\xa7\xb8\x11\x9d\xad\x11\xd1"
                                          "\x80\xb4\x00\xc0\x4f\xd4\x30\xc8",
                                          16);

} // namespace

std::string name_uuid(std::string_view name) {
    const std::array<std::string_view, 3> pieces{url_name_space,
                                                 "https://coldspare.invalid/uuid/1/", name};
    clone::Sha256 digest = clone::sha256_of_pieces(pieces);
    digest[6] = (digest[6] & std::byte{0x0f}) | std::byte{0x80}; // version 8
    digest[8] = (digest[8] & std::byte{0x3f}) | std::byte{0x80}; // the RFC's variant
    const std::string digits = clone::hex(digest);
    return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4),
                       digits.substr(12, 4), digits.substr(16, 4), digits.substr(20, 12));
}

} // namespace coldspare::standby
