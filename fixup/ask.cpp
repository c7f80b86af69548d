#include "fixup/ask.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "fixup/appliance_client.hpp"

#include <fmt/format.h>

#include <set>

namespace coldspare::fixup {

namespace fs = std::filesystem;

fs::path default_overlay(const fs::path& image) {
    fs::path path = image;
    return path += ".fixup.qcow2";
}

fs::path overlay_of(const ImageRequest& request) {
    return request.overlay.empty() ? default_overlay(request.image) : request.overlay;
}

void check_distinct(const std::vector<ImageRequest>& images) {
    if (images.empty()) {
        throw Error("no image was named", "name the clone of each disk", ExitStatus::usage);
    }
    std::set<fs::path> seen;
    for (const ImageRequest& each : images) {
        for (const fs::path& path : {each.image, overlay_of(each)}) {
            if (!seen.insert(fs::weakly_canonical(path)).second) {
                throw Error(fmt::format("'{}' is named twice", path.string()),
                            "name the clone of each disk once, in the order of the server's disks",
                            ExitStatus::usage);
            }
        }
    }
}

Accelerator choose_accelerator(const FixupRequest& request, const NoteCallback& note,
                               std::stop_token stop) {
    if (request.accelerator) {
        return *request.accelerator;
    }
    const AcceleratorProbe probe = probe_accelerator(std::move(stop));
    note(fmt::format("using {}: {}", accelerator_word(probe.accelerator), probe.reason));
    return probe.accelerator;
}

RepairReport ask_appliance(const FixupRequest& request, const Question& question,
                           const NoteCallback& note, std::stop_token stop) {
    ApplianceRequest asked{.format = question.format,
                           .depth = question.depth,
                           .accelerator = question.accelerator,
                           .root = request.root,
                           .keys = request.keys,
                           .wishes = request.wishes,
                           .inventory = request.inventory};
    for (const fs::path& disk : question.disks) {
        asked.disks.push_back(fs::absolute(disk));
    }
    return run_appliance(request.appliance, asked, request.timeout, note, std::move(stop));
}

FixupResult result_of(const FixupRequest& request, std::vector<fs::path> disks,
                      Accelerator accelerator, RepairReport report) {
    FixupResult made{
        .overlays = std::move(disks), .accelerator = accelerator, .report = std::move(report)};
    for (const ImageRequest& each : request.images) {
        made.base_roots.push_back(each.base_root);
    }
    return made;
}

Binding binding_of(const FixupRequest& request, Accelerator accelerator,
                   const RepairReport& report) {
    return {.created = utc_timestamp(),
            .program = request.program,
            .accelerator = std::string(accelerator_word(accelerator)),
            .root = request.root,
            .wishes = request.wishes,
            .report = report};
}

void check_no_obstacle(const FixupRequest& request, const RepairReport& report) {
    if (const FixOutcome* obstacle = report.obstacle()) {
        throw Error(fmt::format("'{}' cannot be made to boot as a virtual machine: {}: {}",
                                request.images.front().image.string(), obstacle->id,
                                obstacle->detail),
                    way_out(*obstacle));
    }
}

} // namespace coldspare::fixup
