#include "standby/standby_copy.hpp"

#include "base/error.hpp"
#include "clone/manifest.hpp"
#include "fixup/binding.hpp"
#include "fixup/fixup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>
#include <utility>

namespace coldspare::standby {

namespace fs = std::filesystem;

namespace {

/// One disk: the file that the machine starts from, the clone below, and the report on both.
struct Part {
    DomainInput::Disk disk;
    fs::path clone;
    fs::path overlay; ///< as it is called itself, without links
    fixup::Binding binding;
};

std::string fixup_hint(const StandbyFile& standby) {
    std::vector<std::string> images;
    for (const DiskSettings& disk : standby.machine.disks) {
        images.push_back(disk.image);
    }
    return fmt::format("make it bootable: coldspare fixup {}", fmt::join(images, " "));
}

[[noreturn]] void complain_of_fixup(const StandbyFile& standby, const std::string& image,
                                    std::string_view what) {
    throw Error(fmt::format("the copy '{}' {}", image, what), fixup_hint(standby));
}

Part look_at(const StandbyFile& standby, const std::string& image, const fs::path& state) {
    std::error_code none;
    if (!fs::exists(image, none)) {
        throw Error(fmt::format("there is no copy of the server's disk in '{}'", image),
                    "make it with 'coldspare receive', then run 'coldspare fixup'");
    }
    Part part;
    const bool device = fs::is_block_file(image, none);
    const fs::path given =
        device ? clone::manifest_path(image, state).replace_extension(".fixup.qcow2")
               : fixup::default_overlay(image);
    if (device) {
        part.overlay = given;
        part.clone = image;
        part.disk = {.path = image, .device = true, .format = "raw"};
    } else if (fs::exists(given, none)) {
        constexpr std::string_view suffix = ".fixup.qcow2";
        part.overlay = fs::canonical(given);
        const std::string own = part.overlay.string();
        part.clone = own.ends_with(suffix) ? own.substr(0, own.size() - suffix.size()) : image;
        part.disk = {.path = given.string(), .format = "qcow2"};
    } else {
        complain_of_fixup(standby, image, "has no fixup yet");
    }
    std::optional<fixup::Binding> binding = fixup::read_binding(fixup::binding_path(part.overlay));
    if (!binding) {
        complain_of_fixup(standby, image, "has no finished fixup");
    }
    part.binding = std::move(*binding);
    return part;
}

/// The report speaks of these disks, in this order, and of what they have now.
void check_binding(const StandbyFile& standby, std::size_t index, const Part& part) {
    const std::string& image = standby.machine.disks[index].image;
    const std::vector<fixup::Layer>& layers = part.binding.layers;
    if (layers.size() != standby.machine.disks.size()) {
        complain_of_fixup(standby, image,
                          fmt::format("was fixed up with {} disks, and the standby has {}",
                                      layers.size(), standby.machine.disks.size()));
    }
    if (part.disk.device) {
        return; // `written` is over the whole undo file: fixup itself looks at that
    }
    // A plain image becomes the first generation under another name, with all that is beside it.
    if (layers.size() > 1 && layers[index].overlay != part.overlay.filename()) {
        complain_of_fixup(standby, image, "was fixed up with the disks in another order");
    }
    if (fixup::stamp_of(part.clone) != layers[index].base_stamp) {
        complain_of_fixup(standby, image, "was renewed after its fixup");
    }
}

std::string created_at(const fs::path& clone, const fs::path& state) {
    try {
        const auto manifest = clone::read_manifest(clone::manifest_path(clone, state));
        return manifest ? manifest->created : "";
    } catch (const Error&) {
        return ""; // only its age is not known then; verify and receive complain of the rest
    }
}

} // namespace

StandbyCopy read_copy(const StandbyFile& standby, const fs::path& state_directory) {
    StandbyCopy copy;
    for (std::size_t i = 0; i < standby.machine.disks.size(); ++i) {
        Part part = look_at(standby, standby.machine.disks[i].image, state_directory);
        check_binding(standby, i, part);
        copy.disks.push_back(part.disk);
        copy.clones.push_back(part.disk.device ? part.clone.string()
                                               : part.clone.filename().string());
        if (i == 0) {
            copy.created = created_at(part.clone, state_directory);
            copy.needs = std::move(part.binding.report.vm);
            copy.system = std::move(part.binding.report.system);
            copy.accelerator = std::move(part.binding.accelerator);
            copy.fixed = std::move(part.binding.created);
        }
    }
    return copy;
}

fs::path firmware_variables_of(const StandbyFile& standby, const fs::path& state_directory) {
    const fs::path image = standby.machine.disks.front().image;
    std::error_code none;
    if (fs::is_block_file(image, none)) {
        return fs::absolute(state_directory) / (standby.name + ".vars.fd");
    }
    return image.string() + ".vars.fd";
}

std::optional<std::chrono::seconds> age_of(std::string_view created,
                                           std::chrono::system_clock::time_point now) {
    std::tm parts{};
    const std::string text(created);
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    const auto then = std::chrono::system_clock::from_time_t(::timegm(&parts));
    return std::chrono::duration_cast<std::chrono::seconds>(now - then);
}

} // namespace coldspare::standby
