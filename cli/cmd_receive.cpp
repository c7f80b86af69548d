#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/link.hpp"
#include "cli/program.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/places.hpp"
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
        app.add_option("target", target_,
                       "block device, URI of an NBD export, or image file to make")
            ->type_name("TARGET")
            ->required();
        link_.declare(app);
        app.add_flag("--erase", erase_, "overwrite a device, or a file that exists");
        app.add_flag("--full", full_,
                     "copy everything, whatever an earlier run has left on the target");
        app.add_flag("--verify", verify_, "read the medium back before saying that it is done");
        declare_direct(app, direct_);
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        clone::Target target({.path = target_,
                              .existing = erase_ ? clone::Existing::erase : clone::Existing::refuse,
                              .earlier = full_ ? clone::Earlier::ignore : clone::Earlier::go_on,
                              .direct = parse_direct(direct_),
                              .state_dir = link_.state_dir(),
                              .notice = [&output](std::string_view text) { output.note(text); }});
        target.check();
        if (verify_ && clone::is_nbd_uri(target_)) {
            output.note(std::string(read_back_over_nbd));
        }
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
        const clone::ReceiveOptions options{.program = std::string(program_and_version()),
                                            .streams = link_.streams(),
                                            .read_back = verify_ ? clone::ReadBack::yes
                                                                 : clone::ReadBack::no};
        const clone::CopyReport report = link_.run_sessions(
            output, progress_sink(output, "copying"), [&](const clone::ProgressSink& progress) {
                return clone::receive_disk(*peers, options, target, progress, stop);
            });
        output.end_progress();
        print_report(output, report);
        nlohmann::json fields = to_json(report);
        fields["target"] = target_;
        fields["manifest"] = target.manifest().string();
        if (!report.unreadable.empty()) {
            report_unreadable(output, report, target, fields, stop);
        }
        const ExitStatus status = status_of(report);
        output.result(status, fields);
        return status;
    }

private:
    /// Says what is zeros in the copy because the source could not read it, and whose it was.
    void report_unreadable(Output& output, const clone::CopyReport& report,
                           const clone::Target& target, nlohmann::json& fields,
                           std::stop_token stop) const {
        nlohmann::json list = nlohmann::json::array();
        std::uint64_t bytes = 0;
        for (const clone::Place& place :
             clone::places_of(target_, report.unreadable, look_for_files, stop)) {
            bytes += place.range.length;
            output.line("unreadable: " + place.text());
            list.push_back({{"offset", place.range.offset},
                            {"length", place.range.length},
                            {"partition", place.partition},
                            {"type", place.type},
                            {"label", place.label},
                            {"holders", place.holders}});
        }
        fields["unreadable"] = list;
        fields["map"] = target.map().string();
        output.warning(fmt::format("{} of the source could not be read and are zeros in the copy; "
                                   "'{}' lists them for ddrescue",
                                   format_bytes(bytes), target.map().string()));
    }

    static constexpr std::chrono::seconds look_for_files{20};

    LinkOptions link_;
    std::string target_;
    std::string direct_ = "auto";
    bool erase_ = false;
    bool full_ = false;
    bool verify_ = false;
};

} // namespace

std::unique_ptr<Command> make_receive_command() {
    return std::make_unique<ReceiveCommand>();
}

} // namespace coldspare::cli
