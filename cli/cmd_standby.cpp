#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/program.hpp"
#include "cli/standby_init.hpp"
#include "cli/table.hpp"
#include "standby/define.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace coldspare::cli {

namespace {

namespace fs = std::filesystem;
using namespace standby;

std::string uri_of(const StandbyFile& file) {
    return file.machine.uri.empty() ? "libvirt without a daemon" : file.machine.uri;
}

/// "3 days ago".
std::string age_text(const std::string& created) {
    const auto age = age_of(created, std::chrono::system_clock::now());
    if (!age) {
        return "of unknown age";
    }
    constexpr std::chrono::hours day{24};
    return *age < 2 * day ? fmt::format("{} hours old", age->count() / 3600)
                          : fmt::format("{} days old", *age / day);
}

std::string state_of(const StandbyView& view) {
    return view.domain ? std::string(word(view.domain->state)) : "not defined";
}

/// The first thing that is wrong, if anything is.
std::string first_problem(const StandbyView& view) {
    if (!view.problems.empty()) {
        return view.problems.front();
    }
    return view.differences.empty() ? "" : "the definition is not as the file wants it";
}

nlohmann::json to_json(const StandbyFile& file, const StandbyView& view) {
    nlohmann::json disks = nlohmann::json::array();
    for (std::size_t i = 0; view.copy && i < view.copy->disks.size(); ++i) {
        disks.push_back({{"path", view.copy->disks[i].path}, {"clone", view.copy->clones[i]}});
    }
    const auto age =
        view.copy ? age_of(view.copy->created, std::chrono::system_clock::now()) : std::nullopt;
    nlohmann::json fields{{"name", file.name},
                          {"domain", file.machine.domain},
                          {"uri", file.machine.uri},
                          {"state", state_of(view)},
                          {"kind", view.mark ? view.mark->kind : ""},
                          {"disks", disks},
                          {"created", view.copy ? view.copy->created : ""},
                          {"fixed", view.copy ? view.copy->fixed : ""},
                          {"system", view.copy ? view.copy->system : ""},
                          {"age_seconds", nullptr},
                          {"differences", view.differences},
                          {"problems", view.problems}};
    if (age) {
        fields["age_seconds"] = age->count();
    }
    return fields;
}

class StandbyCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("action", action_, "init, define, show, list, or remove")
            ->type_name("init|define|show|list|remove")
            ->required()
            ->check(CLI::IsMember({"init", "define", "show", "list", "remove"}));
        app.add_option("name", name_, "the standby: NAME of CONFIG-DIR/NAME.toml")
            ->type_name("NAME");
        app.add_flag("--plan", plan_, "define: show the machine's definition, and define nothing");
        declare_init(app);
        declare_config_dir(app, config_dir_);
        declare_state_dir(app, state_dir_);
    }

    ExitStatus run(Output& output, std::stop_token) override {
        if (plan_ && action_ != "define") {
            throw usage_error("--plan belongs to 'coldspare standby define'");
        }
        for (const CLI::Option* option : of_init_) {
            if (action_ != "init" && option->count() > 0) {
                throw usage_error(
                    fmt::format("{} belongs to 'coldspare standby init'", option->get_name()));
            }
        }
        if (action_ == "list") {
            if (!name_.empty()) {
                throw usage_error("'coldspare standby list' takes no name", "it lists all of them");
            }
            return list(output);
        }
        if (name_.empty()) {
            throw usage_error(fmt::format("which standby is meant? 'coldspare standby {}' needs "
                                          "its name",
                                          action_),
                              "'coldspare standby list' shows them");
        }
        if (action_ == "init") {
            init_.name = name_;
            init_.config_dir = config_dir_;
            init_.overwrite = force_ ? Overwrite::allow : Overwrite::refuse;
            return standby_init(output, init_);
        }
        const StandbyFile file = read_standby_file(config_dir_, name_);
        if (action_ == "show") {
            return show(output, file);
        }
        return action_ == "define" ? define(output, file) : remove(output, file);
    }

private:
    void declare_init(CLI::App& app) {
        of_init_ = {
            app.add_option("--inventory", init_.inventory,
                           "init: what 'coldspare inventory' or 'coldspare receive' wrote of the "
                           "server (-: standard input); without it, this machine's own")
                ->type_name("FILE"),
            app.add_option("--output", init_.output,
                           "init: write there (-: standard output), not to CONFIG-DIR/NAME.toml")
                ->type_name("FILE"),
            app.add_option("--connect", init_.connect,
                           "init: where the server's 'coldspare send' listens")
                ->type_name("HOST:PORT"),
            app.add_option("--image-dir", init_.image_directory,
                           "init: where the copies of its disks are kept")
                ->type_name("DIR")
                ->capture_default_str(),
            app.add_flag("--force", force_, "init: write over a file that is there"),
        };
    }

    [[nodiscard]] DefineContext context() const {
        return {.state_directory = state_dir_,
                .version = std::string(program_and_version()),
                .guarded = fs::exists(guard_path)};
    }

    ExitStatus define(Output& output, const StandbyFile& file) const {
        const StandbyCopy copy = read_copy(file, state_dir_); // before a slow connection
        const std::unique_ptr<Hypervisor> hypervisor =
            connect_hypervisor(file.machine.uri, state_dir_);
        const DefineOutcome done = define_standby(*hypervisor, file, copy, context(),
                                                  plan_ ? DefineMode::look : DefineMode::act);
        for (const std::string& warning : done.warnings) {
            output.warning(warning);
        }
        if (plan_) {
            output.line(done.xml);
        }
        for (const std::string& difference : done.differences) {
            output.line(fmt::format("  {}", printable(difference)));
        }
        output.line(say(file, done.change));
        constexpr std::array<const char*, 3> words{"made", "changed", "none"};
        output.result(ExitStatus::done, {{"name", file.name},
                                         {"domain", file.machine.domain},
                                         {"uri", file.machine.uri},
                                         {"change", words[static_cast<std::size_t>(done.change)]},
                                         {"planned", plan_},
                                         {"differences", done.differences},
                                         {"xml", done.xml}});
        return ExitStatus::done;
    }

    [[nodiscard]] std::string say(const StandbyFile& file, DefineChange change) const {
        const std::string& domain = file.machine.domain;
        switch (change) {
        case DefineChange::none:
            return fmt::format("'{}' is defined as the file wants it", domain);
        case DefineChange::changed:
            return fmt::format("the definition of '{}' {} changed", domain,
                               plan_ ? "would be" : "was");
        case DefineChange::made:
            break;
        }
        return plan_ ? fmt::format("'{}' would be defined ({})", domain, uri_of(file))
                     : fmt::format("'{}' is defined ({}), switched off", domain, uri_of(file));
    }

    ExitStatus show(Output& output, const StandbyFile& file) const {
        const std::unique_ptr<Hypervisor> hypervisor =
            connect_hypervisor(file.machine.uri, state_dir_);
        const StandbyView view = view_standby(*hypervisor, file, context());
        output.line(fmt::format("{}: machine '{}' ({}), {}{}", file.name, file.machine.domain,
                                uri_of(file), state_of(view),
                                view.mark ? fmt::format(", marked as {}", view.mark->kind) : ""));
        if (view.copy) {
            output.line(fmt::format("copy of {}: {}, {}, fixed up {}", file.source.host,
                                    printable(view.copy->system), age_text(view.copy->created),
                                    view.copy->fixed));
            for (std::size_t i = 0; i < view.copy->disks.size(); ++i) {
                output.line(
                    fmt::format("  {} over {}", view.copy->disks[i].path, view.copy->clones[i]));
            }
        }
        if (view.domain && view.copy && view.problems.empty()) {
            output.line(view.differences.empty() ? "definition: as the file wants it"
                                                 : "definition: not as the file wants it");
        }
        for (const std::string& difference : view.differences) {
            output.line(fmt::format("  {}", printable(difference)));
        }
        for (const std::string& problem : view.problems) {
            output.warning(problem);
        }
        output.result(ExitStatus::done, to_json(file, view));
        return ExitStatus::done;
    }

    /// Every standby has a row, whatever is wrong with it.
    ExitStatus list(Output& output) const {
        const std::vector<std::string> names = standby_names(config_dir_);
        std::map<std::string, std::unique_ptr<Hypervisor>> connections;
        std::vector<Row> rows;
        nlohmann::json objects = nlohmann::json::array();
        for (const std::string& name : names) {
            try {
                const StandbyFile file = read_standby_file(config_dir_, name);
                std::unique_ptr<Hypervisor>& hypervisor = connections[file.machine.uri];
                if (!hypervisor) {
                    hypervisor = connect_hypervisor(file.machine.uri, state_dir_);
                }
                const StandbyView view = view_standby(*hypervisor, file, context());
                rows.push_back({name, file.machine.domain, state_of(view),
                                view.copy ? age_text(view.copy->created) : "no copy",
                                printable(first_problem(view))});
                objects.push_back(to_json(file, view));
            } catch (const Error& error) {
                const std::string text = error.message();
                rows.push_back({name, "-", "not known", "-", text.substr(0, text.find('\n'))});
                objects.push_back({{"name", name}, {"problems", {text}}});
            }
        }
        print_table(output, rows);
        if (names.empty()) {
            output.note(fmt::format("there is no standby in '{}'", config_dir_));
        }
        output.result(ExitStatus::done, {{"standbys", objects}});
        return ExitStatus::done;
    }

    ExitStatus remove(Output& output, const StandbyFile& file) const {
        const std::unique_ptr<Hypervisor> hypervisor =
            connect_hypervisor(file.machine.uri, state_dir_);
        const bool was_there = remove_standby(*hypervisor, file);
        std::vector<std::string> images;
        for (const DiskSettings& disk : file.machine.disks) {
            images.push_back(disk.image);
        }
        output.line(was_there ? fmt::format("'{}' is not defined any more; the copy stays: {}",
                                            file.machine.domain, fmt::join(images, " "))
                              : fmt::format("'{}' is not defined", file.machine.domain));
        output.result(ExitStatus::done, {{"name", file.name},
                                         {"domain", file.machine.domain},
                                         {"removed", was_there},
                                         {"images", images}});
        return ExitStatus::done;
    }

    std::string action_;
    std::string name_;
    bool plan_ = false;
    bool force_ = false;
    StandbyInitOptions init_;
    std::vector<const CLI::Option*> of_init_;
    std::string config_dir_ = default_config_dir;
    std::string state_dir_ = default_state_dir;
};

} // namespace

std::unique_ptr<Command> make_standby_command() {
    return std::make_unique<StandbyCommand>();
}

} // namespace coldspare::cli
