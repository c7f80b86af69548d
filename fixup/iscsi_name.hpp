#pragma once

#include <string>
#include <string_view>

namespace coldspare::fixup {

/// Why `name` is no iSCSI name, as the end of a sentence ("begins with neither ..."); empty if it
/// is one. RFC 3720 3.2.6.3: iqn.YYYY-MM.domain[:text] in lower case, eui. with 16 or naa. with 16
/// or 32 hexadecimal digits; at most 223 bytes.
[[nodiscard]] std::string complaint_about_iscsi_name(std::string_view name);

} // namespace coldspare::fixup
