#include "base/stop.hpp"
#include "cli/command.hpp"
#include "cli/program.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace coldspare;
using cli::CommandEntry;
using cli::Format;
using cli::Output;

constexpr std::string_view statuses =
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 not finished, 4 refused, 5 locked,\n"
    "130 interrupted. See coldspare(8).";

/// The status is known before the words are understood, and so must be the form of the answer.
bool wants_json(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--json") {
            return true;
        }
    }
    return false;
}

int run(int argc, char** argv, Output& output, std::stop_token stop) {
    CLI::App app("Disk cloning and cold-standby virtual machines.", "coldspare");
    app.set_version_flag("--version", std::string(cli::program_and_version()));
    app.require_subcommand(1);
    app.footer(std::string(statuses));
    bool json = false;
    std::vector<std::unique_ptr<cli::Command>> made;
    std::vector<CLI::App*> parsers;
    for (const CommandEntry& entry : cli::commands()) {
        CLI::App* parser = app.add_subcommand(std::string(entry.name), std::string(entry.summary));
        parser->add_flag("--json", json, "print one JSON object per line");
        parser->footer(fmt::format("Example:\n  {}", entry.example));
        made.push_back(entry.make());
        made.back()->declare(*parser);
        parsers.push_back(parser);
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) {
            return app.exit(error);
        }
        throw usage_error(error.what(), "see 'coldspare --help' and 'coldspare COMMAND --help'");
    }
    for (std::size_t i = 0; i < parsers.size(); ++i) {
        if (parsers[i]->parsed()) {
            return static_cast<int>(made[i]->run(output, stop));
        }
    }
    return static_cast<int>(ExitStatus::usage);
}

} // namespace

int main(int argc, char** argv) {
    const SignalStop signals;
    Output output(wants_json(argc, argv) ? Format::json : Format::text);
    try {
        return run(argc, argv, output, signals.token());
    } catch (const Error& error) {
        return output.failure(error);
    } catch (const std::exception& error) {
        return output.failure(Error(fmt::format("unexpected: {}", error.what())));
    }
}
