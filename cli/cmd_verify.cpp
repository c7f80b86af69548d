#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/link.hpp"
#include "cli/program.hpp"
#include "clone/manifest.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/target_layout.hpp"
#include "clone/verify.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>

namespace coldspare::cli {

namespace {

class VerifyCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("target", target_, "the clone to read back")
            ->type_name("TARGET")
            ->required();
        declare_state_dir(app, state_dir_);
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        const std::filesystem::path path = clone::manifest_path(target_, state_dir_);
        const std::optional<clone::Manifest> manifest = clone::read_manifest(path);
        if (!manifest) {
            throw Error(fmt::format("'{}' has no manifest '{}': it holds no finished clone",
                                    target_, path.string()),
                        "only what 'coldspare receive' finished can be verified");
        }
        std::unique_ptr<clone::Disk> disk = clone::open_for_verify(target_);
        if (!clone::has_its_table(*disk, *manifest)) {
            throw Error(fmt::format("the partition table of '{}' is not what was written", target_),
                        "somebody has changed it, or the medium is bad: clone again");
        }
        disk = clone::as_its_source(std::move(disk), *manifest);
        std::vector<clone::Range> grown;
        for (const clone::Grown& each : manifest->grown) {
            grown.push_back(each.source);
            output.note(fmt::format("partition {} is not compared: its file system was grown after "
                                    "the copy",
                                    each.number));
        }
        clone::VerifyReport report =
            clone::verify(*disk, manifest->geometry, manifest->leaves,
                          progress_sink(output, "reading back"), stop, grown);
        output.end_progress();
        if (clone::is_nbd_uri(target_)) {
            output.note(std::string(read_back_over_nbd));
        }
        if (manifest->view) { // What lies there is looked up on the target.
            report.wrong = manifest->view->on_target(report.wrong);
        }
        clone::require_intact(report);
        output.line(fmt::format("'{}' is the clone of '{}' made {}: {} read back in {:.1f} s",
                                target_, manifest->source_name, manifest->created,
                                format_bytes(report.bytes_read), report.seconds));
        output.line(fmt::format("root {}", clone::hex(manifest->root)));
        output.result(ExitStatus::done, {{"target", target_},
                                         {"manifest", path.string()},
                                         {"root", clone::hex(manifest->root)},
                                         {"bytes_total", manifest->geometry.size},
                                         {"bytes_read", report.bytes_read},
                                         {"seconds", report.seconds},
                                         {"verified", true}});
        return ExitStatus::done;
    }

private:
    std::string target_;
    std::string state_dir_ = default_state_dir;
};

} // namespace

std::unique_ptr<Command> make_verify_command() {
    return std::make_unique<VerifyCommand>();
}

} // namespace coldspare::cli
