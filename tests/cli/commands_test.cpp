#include "cli/command.hpp"
#include "cli/link.hpp"

#include <CLI/CLI.hpp>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>

namespace coldspare::cli {

TEST_CASE("every command stands once in the table, with words and an example of its own") {
    std::set<std::string_view> names;
    for (const CommandEntry& entry : commands()) {
        CAPTURE(entry.name);
        CHECK(names.insert(entry.name).second);
        CHECK_FALSE(entry.summary.empty());
        CHECK(std::string(entry.example).starts_with("coldspare " + std::string(entry.name)));
    }
}

TEST_CASE("the example of each command is understood by it") {
    for (const CommandEntry& entry : commands()) {
        CAPTURE(entry.name);
        CLI::App app;
        const std::unique_ptr<Command> command = entry.make();
        CLI::App* parser = app.add_subcommand(std::string(entry.name));
        command->declare(*parser);
        const std::string words(entry.example.substr(entry.example.find(' ') + 1));
        CHECK_NOTHROW(app.parse(words));
        CHECK(parser->parsed());
    }
}

TEST_CASE("every option and argument has a description") {
    for (const CommandEntry& entry : commands()) {
        CLI::App app;
        entry.make()->declare(app);
        for (const CLI::Option* option : app.get_options()) {
            CAPTURE(entry.name);
            CAPTURE(option->get_name());
            CHECK_FALSE(option->get_description().empty());
        }
    }
}

TEST_CASE("the result of a copy has every field that was promised") {
    const nlohmann::json fields = to_json(clone::CopyReport{});
    for (const char* name :
         {"bytes_total", "bytes_read", "bytes_zero", "bytes_same", "bytes_skipped", "bytes_sent",
          "bytes_wire", "blocks_sent", "seconds", "root", "unreadable", "resumed", "verified"}) {
        CAPTURE(name);
        CHECK(fields.contains(name));
    }
}

} // namespace coldspare::cli
