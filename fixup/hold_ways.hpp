#pragma once

#include "fixup/file_tree.hpp"
#include "fixup/plan.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// One way in which a service would start at boot, closed.
struct HoldWay {
    std::string way;             ///< "systemd drop-in", "SysV links", "UCR variable", ...
    std::vector<FileEdit> edits; ///< none if it is closed already
    /// Shell lines for the running copy, in order: what starts the service now ...
    std::vector<std::string> release;
    /// ... and what lets it start at every boot again.
    std::vector<std::string> restore;
    std::string warning; ///< one sentence, or empty
};

/// All ways that `service` has in this system; none if nothing there would start it. The lines of
/// all ways together release it: first all that settings need, then the start.
[[nodiscard]] std::vector<HoldWay> hold_ways(const FileTree& files, const std::string& service);

/// Parts of it.
[[nodiscard]] std::vector<HoldWay> hold_by_sysv_links(const FileTree& files,
                                                      const std::string& service);
[[nodiscard]] std::vector<HoldWay> hold_by_ucr(const FileTree& files, const std::string& service);

/// A text of insserv's .depend.start without this script. Pure; any bytes will do.
[[nodiscard]] std::string without_script(std::string_view depend, std::string_view script);

/// Lines of crontabs, rc.local, inittab, inetd.conf and monit that seem to start the service, which
/// no hold covers: "/etc/rc.local:3: ...", at most 20.
[[nodiscard]] std::vector<std::string> other_starters(const FileTree& files,
                                                      const std::string& service);

} // namespace coldspare::fixup
