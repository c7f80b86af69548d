#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/link.hpp"
#include "cli/program.hpp"
#include "clone/sender.hpp"
#include "clone/sysfs.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>

namespace coldspare::cli {

namespace {

class SendCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("disk", disk_, "the disk or image to serve")->type_name("DISK")->required();
        link_.declare(app);
        app.add_option("--compress", compress_, "auto, none, or a zstd level from 1 to 19")
            ->type_name("auto|none|LEVEL")
            ->capture_default_str();
        declare_direct(app, direct_);
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        const clone::SendOptions options{.program = std::string(program_and_version()),
                                         .streams = link_.streams(),
                                         .compression = parse_compression(compress_)};
        const std::unique_ptr<clone::Disk> disk = clone::open_source(disk_, parse_direct(direct_));
        for (const clone::sysfs::Use& use : clone::sysfs::uses_of(disk_)) {
            if (use.writes) {
                output.warning(fmt::format("{}: what is written during the copy may be torn in it; "
                                           "boot the live image for a sure copy",
                                           use.what));
            }
        }
        const std::unique_ptr<clone::Peers> peers = link_.open(output, "receive");
        output.note(fmt::format("serving '{}' ({})", disk_, format_bytes(disk->facts().size)));
        const clone::CopyReport report = link_.run_sessions(
            output, progress_sink(output, "copying"), [&](const clone::ProgressSink& progress) {
                return clone::send_disk(*disk, *peers, options, progress, stop);
            });
        output.end_progress();
        print_report(output, report);
        nlohmann::json fields = to_json(report);
        fields["source"] = disk_;
        output.result(ExitStatus::done, fields);
        return ExitStatus::done;
    }

private:
    static clone::Compression parse_compression(const std::string& text) {
        using Mode = clone::Compression::Mode;
        if (text == "auto") {
            return {Mode::automatic};
        }
        if (text == "none") {
            return {Mode::none};
        }
        const bool digits = !text.empty() && text.size() <= 2 &&
                            text.find_first_not_of("0123456789") == std::string::npos;
        if (!digits || std::stoi(text) < 1 || std::stoi(text) > 19) {
            throw usage_error(fmt::format("--compress '{}' is not auto, none or 1 to 19", text),
                              "auto is right unless it was measured otherwise");
        }
        return {Mode::fixed, std::stoi(text)};
    }

    LinkOptions link_;
    std::string disk_;
    std::string compress_ = "auto";
    std::string direct_ = "auto";
};

} // namespace

std::unique_ptr<Command> make_send_command() {
    return std::make_unique<SendCommand>();
}

} // namespace coldspare::cli
