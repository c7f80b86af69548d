#pragma once

#include <string>
#include <string_view>

namespace coldspare::standby {

/// A UUID that is made from a name alone: the same name gives the same one everywhere. RFC 9562
/// (5.8 and B.2): version 8 over SHA-256 of the name space for URLs and of
/// "https://coldspare.invalid/uuid/1/NAME".
[[nodiscard]] std::string name_uuid(std::string_view name);

} // namespace coldspare::standby
