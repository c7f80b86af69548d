#include "cli/program.hpp"

#include <CLI/CLI.hpp>

namespace coldspare::cli {

std::string_view program_and_version() {
    return "coldspare " COLDSPARE_VERSION;
}

void declare_direct(CLI::App& app, std::string& value) {
    app.add_option("--direct", value, "pass by the page cache: auto, on or off")
        ->type_name("auto|on|off")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "on", "off"}));
}

clone::DirectIo parse_direct(const std::string& value) {
    if (value == "on") {
        return clone::DirectIo::on;
    }
    return value == "off" ? clone::DirectIo::off : clone::DirectIo::automatic;
}

void declare_state_dir(CLI::App& app, std::string& value) {
    app.add_option("--state-dir", value,
                   "where coldspare remembers clones on block devices, and pairs")
        ->type_name("DIR")
        ->capture_default_str();
}

void declare_config_dir(CLI::App& app, std::string& value) {
    app.add_option("--config-dir", value, "where the files of standbys are")
        ->type_name("DIR")
        ->capture_default_str();
}

} // namespace coldspare::cli
