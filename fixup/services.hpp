#pragma once

#include "fixup/file_tree.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// Why `name` cannot be the name of a service, as the end of a sentence; empty if it can: letters,
/// digits and "@._:-", no '-' or '.' first, at most 255 bytes.
[[nodiscard]] std::string complaint_about_service(std::string_view name);

/// What becomes process 1. Where that cannot be seen, everything that is installed counts.
struct Init {
    bool systemd = false; ///< its units count
    bool scripts = false; ///< links in rcN.d and jobs of Upstart count
};

[[nodiscard]] Init init_of(const FileTree& files);

/// A service as systemd knows it.
struct UnitName {
    std::string stem; ///< "cyrus-imapd": without .service, and no alias
    std::vector<std::string>
        units;           ///< the files with that name: "x.service", "x.socket", "x@.service"
    bool masked = false; ///< by the server itself
};

/// Follows aliases (links between unit files); no units if there is none of that name.
[[nodiscard]] UnitName find_units(const FileTree& files, std::string_view service);

/// The units among `units`, and instances of templates among them, that a target starts.
[[nodiscard]] std::vector<std::string> enabled_units(const FileTree& files,
                                                     const std::vector<std::string>& units);

/// The name below /etc/init.d that `service` means, following links; empty if there is none.
[[nodiscard]] std::string find_script(const FileTree& files, std::string_view service);

/// The names of services in the system that look most like `service`, at most three.
[[nodiscard]] std::vector<std::string> similar_services(const FileTree& files,
                                                        std::string_view service);

} // namespace coldspare::fixup
