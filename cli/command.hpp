#pragma once

#include "base/error.hpp"
#include "cli/output.hpp"

#include <memory>
#include <span>
#include <stop_token>
#include <string_view>

namespace CLI {
class App;
}

namespace coldspare::cli {

/// One command of the program: declares its options, then runs. It decides nothing: it turns words
/// into the options of a module and the module's values into lines.
class Command {
public:
    virtual ~Command() = default;
    /// Adds options and positionals; called once, before the words are parsed.
    virtual void declare(CLI::App& app) = 0;
    /// Does it. An Error ends the program with its status; otherwise the status returned.
    virtual ExitStatus run(Output& output, std::stop_token stop) = 0;
};

/// A row of the table in commands.cpp.
struct CommandEntry {
    std::string_view name;
    std::string_view summary; ///< one line, as in `coldspare --help`
    std::string_view example; ///< the one command line that `--help` ends with
    std::unique_ptr<Command> (*make)();
};

/// Every command, in the order in which `coldspare --help` lists them.
[[nodiscard]] std::span<const CommandEntry> commands();

std::unique_ptr<Command> make_disks_command();
std::unique_ptr<Command> make_inventory_command();
std::unique_ptr<Command> make_send_command();
std::unique_ptr<Command> make_receive_command();
std::unique_ptr<Command> make_pair_command();
std::unique_ptr<Command> make_verify_command();
std::unique_ptr<Command> make_fixup_command();
std::unique_ptr<Command> make_standby_command();

} // namespace coldspare::cli
