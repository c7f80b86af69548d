#include "cli/command.hpp"
#include "cli/program.hpp"
#include "clone/pins.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>

namespace coldspare::cli {

namespace {

class PairCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("action", action_, "list, or forget")
            ->type_name("list|forget")
            ->required()
            ->check(CLI::IsMember({"list", "forget"}));
        app.add_option("name", name_, "the pair to forget")->type_name("NAME");
        declare_state_dir(app, state_dir_);
    }

    ExitStatus run(Output& output, std::stop_token) override {
        const clone::Pins pins(state_dir_);
        if (action_ == "list") {
            if (!name_.empty()) {
                throw usage_error("'coldspare pair list' takes no name", "it lists all pairs");
            }
            list(output, pins);
        } else {
            if (name_.empty()) {
                throw usage_error("which pair is to be forgotten?",
                                  "'coldspare pair list' shows their names");
            }
            forget(output, pins);
        }
        return ExitStatus::done;
    }

private:
    static void list(Output& output, const clone::Pins& pins) {
        nlohmann::json objects = nlohmann::json::array();
        const std::vector<clone::Pin> all = pins.list();
        std::size_t width = 0;
        for (const clone::Pin& pin : all) {
            width = std::max(width, pin.name.size());
        }
        for (const clone::Pin& pin : all) {
            output.line(fmt::format("{:<{}}  {}  paired {}  last seen at {}", pin.name, width,
                                    clone::hex(pin.fingerprint), pin.paired, pin.peer));
            objects.push_back({{"name", pin.name},
                               {"fingerprint", clone::hex(pin.fingerprint)},
                               {"paired", pin.paired},
                               {"peer", pin.peer}});
        }
        if (all.empty()) {
            output.note("this machine is paired with no other");
        }
        output.result(ExitStatus::done, {{"pairs", objects}});
    }

    void forget(Output& output, const clone::Pins& pins) const {
        if (!pins.forget(name_)) {
            throw Error(fmt::format("nothing is paired as '{}'", name_),
                        "'coldspare pair list' shows the names");
        }
        output.line(
            fmt::format("'{}' is forgotten; the other machine still remembers this one", name_));
        output.result(ExitStatus::done, {{"name", name_}});
    }

    std::string action_;
    std::string name_;
    std::string state_dir_ = default_state_dir;
};

} // namespace

std::unique_ptr<Command> make_pair_command() {
    return std::make_unique<PairCommand>();
}

} // namespace coldspare::cli
