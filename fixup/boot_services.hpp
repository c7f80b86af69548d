#pragma once

#include "fixup/plan.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

/// Services that the copy starts at boot, by systemd or by the links of System V, and how one is
/// kept from it.
namespace coldspare::fixup {

/// What the functions below look at, in the language of read_files(). Directories by pattern: those
/// that are links to others are not read twice.
inline constexpr std::array<std::string_view, 7> service_patterns{
    "?/sbin/init",
    "?/etc/systemd/system/*.service",
    "?/etc/systemd/system/*.wants/*",
    "?/etc/rc*.d/S*",
    "?/etc/rc.d/rc*.d/S*",
    "?/etc/init.d/rc*.d/S*",
    "?/etc/init.d/boot.d/S*",
};

/// The links that start a service: "/etc/systemd/system/multi-user.target.wants/smartd.service",
/// "/etc/rc3.d/S20smartd". None: it does not start, or is masked.
[[nodiscard]] std::vector<std::string> starting_links(const FileTree& files,
                                                      std::string_view service);

/// The edits after which it does not start, and the administrator can bring it back in the usual
/// way: masked (systemctl unmask), or with K links in place of S links (update-rc.d, chkconfig).
/// A unit that the administrator wrote himself is not replaced by a mask, but loses its links.
[[nodiscard]] std::vector<FileEdit>
edits_to_disable(const FileTree& files, std::string_view service, std::string_view why);

} // namespace coldspare::fixup
