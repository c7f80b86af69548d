#pragma once

#include "base/error.hpp"
#include "cli/output.hpp"

#include <string>

namespace coldspare::cli {

/// Whether a file that is there may be written over.
enum class Overwrite { refuse, allow };

/// What `coldspare standby init` is told.
struct StandbyInitOptions {
    std::string name;           ///< of the standby
    std::string inventory = {}; ///< a file, or "-": standard input; empty: this machine's own
    std::string output = {};    ///< a file, or "-": standard output; empty: CONFIG-DIR/NAME.toml
    std::string config_dir = "/etc/coldspare";
    std::string connect = {}; ///< "HOST:PORT"; empty: the server's name
    std::string image_directory = "/srv/standby";
    Overwrite overwrite = Overwrite::refuse;
};

/// Writes a first file for a standby (standby/standby_init.hpp), with mode 0644: there is no secret
/// in it, and who watches the standby has to read it. Throws Error; a file that is there is a
/// refusal without Overwrite::allow.
ExitStatus standby_init(Output& output, const StandbyInitOptions& options);

} // namespace coldspare::cli
