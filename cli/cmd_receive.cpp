#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/layout_options.hpp"
#include "cli/link.hpp"
#include "cli/program.hpp"
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
        app.add_option("target", target_, "block device, or image file to make")
            ->type_name("TARGET")
            ->required();
        link_.declare(app);
        app.add_flag("--erase", erase_, "overwrite a device, or a file that exists");
        app.add_flag("--full", full_,
                     "copy everything, whatever an earlier run has left on the target");
        app.add_flag("--verify", verify_, "read the medium back before saying that it is done");
        layout_.declare(app);
        declare_direct(app, direct_);
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        const bool overwrites = erase_ || layout_.dry_run(); // which writes nothing
        clone::Target target(
            {.path = target_,
             .existing = overwrites ? clone::Existing::erase : clone::Existing::refuse,
             .earlier = full_ ? clone::Earlier::ignore : clone::Earlier::go_on,
             .direct = parse_direct(direct_),
             .state_dir = link_.state_dir(),
             .partitions = layout_.options(),
             .notice = [&output](std::string_view text) { output.note(text); }});
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
        const clone::ReceiveOptions options{.program = std::string(program_and_version()),
                                            .streams = link_.streams(),
                                            .read_back = verify_ ? clone::ReadBack::yes
                                                                 : clone::ReadBack::no};
        const auto session = [&](const clone::ProgressSink& progress) {
            return clone::receive_disk(*peers, options, target, progress, stop);
        };
        if (layout_.dry_run()) {
            return show_plan(output, target, session);
        }
        const clone::CopyReport report =
            link_.run_sessions(output, progress_sink(output, "copying"), session);
        output.end_progress();
        for (const std::string& text : target.finish(stop)) {
            output.note(text);
        }
        print_report(output, report);
        nlohmann::json fields = to_json(report);
        if (target.layout()) {
            fields["layout"] = to_json(*target.layout());
        }
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
    /// A session that ends with the plan.
    template <typename Session>
    ExitStatus show_plan(Output& output, const clone::Target& target,
                         const Session& session) const {
        try {
            static_cast<void>(session([](const clone::Progress&) {}));
        } catch (const Error& error) {
            if (!target.layout() || error.status() != ExitStatus::incomplete) {
                throw;
            }
        }
        output.result(ExitStatus::done,
                      {{"target", target_}, {"layout", to_json(*target.layout())}});
        return ExitStatus::done;
    }

    /// Says what is zeros in the copy because the source could not read it, and whose it was.
    void report_unreadable(Output& output, const clone::CopyReport& report,
                           const clone::Target& target, nlohmann::json& fields,
                           std::stop_token stop) const {
        nlohmann::json list = nlohmann::json::array();
        std::uint64_t bytes = 0;
        for (const clone::Place& place :
             clone::places_of(target_, target.lying_at(report.unreadable), look_for_files, stop)) {
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
    LayoutOptions layout_;
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
