#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/link.hpp"
#include "cli/program.hpp"
#include "clone/receiver.hpp"
#include "clone/target.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace coldspare::cli {

namespace {

class ReceiveCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("target", target_, "block device, or image file to make")
            ->type_name("TARGET")
            ->required();
        link_.declare(app);
        app.add_flag("--erase", erase_, "overwrite a device, or a file that exists");
        app.add_flag("--verify", verify_, "read the medium back before saying that it is done");
        declare_direct(app, direct_);
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        clone::Target target({.path = target_,
                              .existing = erase_ ? clone::Existing::erase : clone::Existing::refuse,
                              .direct = parse_direct(direct_),
                              .state_dir = link_.state_dir()});
        target.check();
        if (const std::string overlay = target_ + ".fixup.qcow2";
            std::filesystem::exists(overlay)) {
            output.warning(
                fmt::format("'{}' belongs to the copy that is erased now: run 'coldspare "
                            "fixup' again before the virtual machine is started",
                            overlay));
        }
        if (clone::lies_in_memory(target_)) {
            output.warning(fmt::format("'{}' lies in memory: the copy is gone when this machine "
                                       "goes down",
                                       target_));
        }
        const std::unique_ptr<clone::Peers> peers = link_.open(output, "send");
        const auto open = [&](const clone::DiskFacts& source) {
            output.note(fmt::format("receiving '{}' ({}) into '{}'", source.name,
                                    format_bytes(source.size), target_));
            return target.open(source);
        };
        const auto keep = [&](const clone::Manifest& manifest) {
            target.check_still_there();
            clone::write_manifest(target.manifest(), manifest);
            target.keep();
        };
        const clone::CopyReport report = clone::receive_disk(
            *peers,
            {.program = std::string(program_and_version()),
             .streams = link_.streams(),
             .read_back = verify_ ? clone::ReadBack::yes : clone::ReadBack::no},
            open, keep, [&] { return clone::open_for_verify(target_); },
            progress_sink(output, "copying"), stop);
        output.end_progress();
        print_report(output, report);
        nlohmann::json fields = to_json(report);
        fields["target"] = target_;
        fields["manifest"] = target.manifest().string();
        output.result(ExitStatus::done, fields);
        return ExitStatus::done;
    }

private:
    LinkOptions link_;
    std::string target_;
    std::string direct_ = "auto";
    bool erase_ = false;
    bool verify_ = false;
};

} // namespace

std::unique_ptr<Command> make_receive_command() {
    return std::make_unique<ReceiveCommand>();
}

} // namespace coldspare::cli
