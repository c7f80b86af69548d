#pragma once

#include "fixup/nic.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// How drivers get into an initramfs.
enum class InitramfsWay {
    rebuild, ///< by the copy's own program, so that it is whole
    append,  ///< as one more archive behind the old one: seconds, and nothing of the guest runs
};

/// What happens to programs that look for the old hardware.
enum class Agents { report, disable };

/// What the administrator wants of the standby, apart from that it boots. Part of what an overlay
/// is bound to: other wishes are another overlay.
struct Wishes {
    std::vector<NicBinding> nics;   ///< the network cards of the VM
    std::vector<std::string> holds; ///< services that must not start until they are released
    std::string initiator_name;     ///< the standby's own iSCSI name, or empty: the server's stays
    InitramfsWay initramfs = InitramfsWay::rebuild;
    Agents agents = Agents::report;
    std::set<std::string> skip; ///< ids of fixes that are left out
    friend bool operator==(const Wishes&, const Wishes&) = default;
};

/// As JSON, and back. parse_wishes() throws Error on anything else.
[[nodiscard]] std::string encode_wishes(const Wishes& wishes);
[[nodiscard]] Wishes parse_wishes(std::string_view text);

} // namespace coldspare::fixup
