#pragma once

#include "clone/disk.hpp"

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace coldspare::cli {

/// "coldspare 0.1.0".
[[nodiscard]] std::string_view program_and_version();

inline constexpr const char* default_state_dir = "/var/lib/coldspare";
inline constexpr const char* default_config_dir = "/etc/coldspare";

/// Said wherever an NBD export is read back.
inline constexpr std::string_view read_back_over_nbd =
    "what is read back comes from the NBD server: whether from its medium or its cache, only it "
    "knows";

/// --direct auto|on|off
void declare_direct(CLI::App& app, std::string& value);
[[nodiscard]] clone::DirectIo parse_direct(const std::string& value);

/// --state-dir D
void declare_state_dir(CLI::App& app, std::string& value);

/// --config-dir D
void declare_config_dir(CLI::App& app, std::string& value);

} // namespace coldspare::cli
