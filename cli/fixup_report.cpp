#include "cli/fixup_report.hpp"

#include "fixup/binding.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace coldspare::cli {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

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
    return {{"firmware", vm.firmware}, {"machine", vm.machine},
            {"disk_bus", vm.disk_bus}, {"nics", nics},
            {"cpu", vm.cpu},           {"boot_disk", vm.boot_disk},
            {"note", vm.note}};
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
                                fixup::binding_path(result.overlays.front()).string()));
    }
}

} // namespace

void print_fixup(const fixup::FixupResult& result, fixup::Depth depth, Output& output) {
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
        output.line(fmt::format("nothing to do: '{}' is ready", result.overlays.front().string()));
        return;
    }
    print_files(result, output);
    for (const fs::path& path : result.overlays) {
        output.line(fs::is_block_file(path)
                        ? fmt::format("'{}' is changed in place; --undo puts back", path.string())
                        : fmt::format("made '{}'; the clone itself is untouched", path.string()));
    }
    output.line(fmt::format("the virtual machine: firmware {}, machine {}, disk on {}, {}",
                            report.vm.firmware, report.vm.machine, report.vm.disk_bus,
                            report.vm.cpu));
    if (!report.vm.note.empty()) {
        output.line(report.vm.note);
    }
    if (report.vm.boot_disk != 0) {
        output.line(fmt::format("it must start from disk number {}", report.vm.boot_disk + 1));
    }
    output.line("to look at it without keeping what it writes:");
    std::vector<std::string> disks;
    for (const fs::path& overlay : result.overlays) {
        disks.push_back(fs::absolute(overlay).string());
    }
    output.line(fmt::format("  {} -snapshot", fixup::qemu_command(report.vm, disks)));
}

json fixup_to_json(const fixup::FixupResult& result, fixup::Depth depth) {
    json overlays = json::array();
    for (const fs::path& path : result.overlays) {
        overlays.push_back(path.string());
    }
    json fields{{"changed", result.changed},
                {"overlay", result.overlays.front().string()},
                {"overlays", overlays},
                {"base_root", result.base_roots.front()},
                {"base_roots", result.base_roots},
                {"fixes", fixes_to_json(result.report)},
                {"files", result.report.files},
                {"warnings", result.report.warnings},
                {"vm", vm_to_json(result.report.vm)},
                {"accelerator", fixup::accelerator_word(result.accelerator)}};
    if (depth == fixup::Depth::look) {
        fields["plan"] = result.report.plan_text;
    }
    return fields;
}

} // namespace coldspare::cli
