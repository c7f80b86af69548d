#include "base/clock.hpp"
#include "cli/command.hpp"
#include "cli/program.hpp"
#include "clone/generations.hpp"
#include "clone/manifest.hpp"
#include "fixup/binding.hpp"
#include "fixup/fixup.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

namespace coldspare::cli {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// The helper stands beside the program (as built), or where it is installed.
fs::path find_appliance() {
    constexpr const char* name = "coldspare-appliance";
    std::error_code failed;
    const fs::path here = fs::read_symlink("/proc/self/exe", failed).parent_path();
    const fs::path installed = here.parent_path() / "libexec/coldspare" / name;
    for (const fs::path& path : {here / name, installed}) {
        if (::access(path.c_str(), X_OK) == 0) {
            return path;
        }
    }
    throw Error(fmt::format("there is no '{}' beside this program", name),
                "install the whole of coldspare: the live image alone cannot fix a copy");
}

json fixes_to_json(const fixup::RepairReport& report) {
    json list = json::array();
    for (const fixup::FixOutcome& fix : report.fixes) {
        list.push_back({{"id", fix.id},
                        {"outcome", fixup::outcome_word(fix.outcome)},
                        {"detail", fix.detail}});
    }
    return list;
}

json vm_to_json(const fixup::VmRequirements& vm) {
    json nics = json::array();
    for (const fixup::VmNic& nic : vm.nics) {
        nics.push_back({{"name", nic.name}, {"mac", nic.mac}, {"model", nic.model}});
    }
    return {{"firmware", vm.firmware},
            {"machine", vm.machine},
            {"disk_bus", vm.disk_bus},
            {"nics", nics},
            {"cpu", vm.cpu}};
}

std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(width, text.size()), ' ');
    return text;
}

void print_table(const fixup::RepairReport& report, Output& output) {
    for (const fixup::FixOutcome& fix : report.fixes) {
        output.line(fmt::format("{}  {}  {}", padded(fix.id, 20),
                                padded(std::string(fixup::outcome_word(fix.outcome)), 10),
                                fix.detail));
    }
}

/// The first of them: a boot loader that was installed again is hundreds.
void print_files(const fixup::FixupResult& result, Output& output) {
    constexpr std::size_t shown = 20;
    const std::vector<std::string>& files = result.report.files;
    output.line(fmt::format("{} files differ from the clone:", files.size()));
    for (std::size_t i = 0; i < std::min(shown, files.size()); ++i) {
        output.line(fmt::format("  {}", files[i]));
    }
    if (files.size() > shown) {
        output.line(fmt::format("  ... and {} more: '{}' lists all of them", files.size() - shown,
                                fixup::binding_path(result.overlay).string()));
    }
}

void print_text(const fixup::FixupResult& result, fixup::Depth depth, Output& output) {
    const fixup::RepairReport& report = result.report;
    output.line(fmt::format("system: {}", report.system));
    if (depth == fixup::Depth::look) {
        output.line(report.plan_text);
        output.line(report.is_clean() ? "nothing to do" : "nothing was written");
        return;
    }
    if (result.changed) {
        output.line(report.plan_text);
    }
    print_table(report, output);
    if (!result.changed) {
        output.line(fmt::format("nothing to do: '{}' is ready", result.overlay.string()));
        return;
    }
    print_files(result, output);
    output.line(fmt::format("made '{}'; the clone itself is untouched", result.overlay.string()));
    output.line(fmt::format("the virtual machine: firmware {}, machine {}, disk on {}, {}",
                            report.vm.firmware, report.vm.machine, report.vm.disk_bus,
                            report.vm.cpu));
    output.line("to look at it without keeping what it writes:");
    output.line(fmt::format("  {} -snapshot",
                            fixup::qemu_command(report.vm, fs::absolute(result.overlay).string())));
}

class FixupCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("IMAGE", image_, "the clone: a raw image, as receive writes it")->required();
        app.add_option("--nic", nics_,
                       "NAME=MAC: a network card of the VM and its name in the system")
            ->required()
            ->allow_extra_args(false);
        app.add_flag("--plan", plan_, "show every change as a diff and make none");
        app.add_option("--overlay", overlay_, "the overlay to make, instead of IMAGE.fixup.qcow2");
        app.add_option("--timeout", timeout_, "seconds until a run that hangs is ended")
            ->check(CLI::Range(10, 86400))
            ->capture_default_str();
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        const TimePoint start = Clock::now();
        // The overlay is of this generation, whatever the link names later.
        const fs::path image = clone::resolve_generation(image_);
        const fixup::FixupRequest request{.image = image,
                                          .overlay = overlay_,
                                          .wishes = {.nics = fixup::parse_nics(nics_)},
                                          .depth = plan_ ? fixup::Depth::look : fixup::Depth::mend,
                                          .base_root = base_root(image, output),
                                          .program = std::string(program_and_version()),
                                          .appliance = find_appliance(),
                                          .timeout = std::chrono::seconds(timeout_)};
        const fixup::FixupResult result = fixup::run_fixup(
            request,
            [&](std::string_view text) {
                output.note(
                    fmt::format("[{:4.0f} s] {}", Seconds(Clock::now() - start).count(), text));
            },
            std::move(stop));
        for (const std::string& warning : result.report.warnings) {
            output.warning(warning);
        }
        print_text(result, request.depth, output);
        if (const fixup::FixOutcome* obstacle = result.report.obstacle()) {
            throw Error(fmt::format("'{}' cannot be made to boot as a virtual machine: {}: {}",
                                    image_, obstacle->id, obstacle->detail),
                        obstacle->hint);
        }
        if (clone::has_generations(image_) && overlay_.empty() && !plan_) {
            clone::publish_overlay(image_, image);
            output.line(fmt::format("'{}.fixup.qcow2' links to it: the virtual machine starts "
                                    "from this generation now",
                                    image_));
        }
        finish(result, output);
        return ExitStatus::done;
    }

private:
    [[nodiscard]] std::string base_root(const fs::path& image, Output& output) const {
        const std::optional<clone::Manifest> manifest =
            clone::read_manifest(clone::manifest_path(image, {}));
        if (!manifest && fs::exists(clone::journal_path(image, {}))) {
            throw refusal(fmt::format("fix up '{}': it is an unfinished copy", image_),
                          "run 'coldspare receive' again: it goes on where it was");
        }
        if (!manifest) {
            output.warning(
                fmt::format("no manifest: nobody vouches that '{}' is a whole clone", image_));
            return {};
        }
        return clone::hex(manifest->root);
    }

    void finish(const fixup::FixupResult& result, Output& output) const {
        json fields{{"changed", result.changed},
                    {"overlay", result.overlay.string()},
                    {"base_root", result.base_root},
                    {"fixes", fixes_to_json(result.report)},
                    {"files", result.report.files},
                    {"vm", vm_to_json(result.report.vm)},
                    {"accelerator", fixup::accelerator_word(result.accelerator)}};
        if (plan_) {
            fields["plan"] = result.report.plan_text;
        }
        output.result(ExitStatus::done, fields);
    }

    std::string image_;
    std::vector<std::string> nics_;
    std::string overlay_;
    bool plan_ = false;
    int timeout_ = 1800;
};

} // namespace

std::unique_ptr<Command> make_fixup_command() {
    return std::make_unique<FixupCommand>();
}

} // namespace coldspare::cli
