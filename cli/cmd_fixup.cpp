#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/inventory.hpp"
#include "cli/command.hpp"
#include "cli/fixup_report.hpp"
#include "cli/program.hpp"
#include "clone/generations.hpp"
#include "clone/manifest.hpp"
#include "fixup/binding.hpp"
#include "fixup/fixes.hpp"
#include "fixup/fixup.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
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

class FixupCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("IMAGE", images_,
                       "the clone of each disk, in the order of the server's disks: raw images, or "
                       "devices, which are fixed in place")
            ->required();
        app.add_option("--nic", nics_,
                       "NAME=MAC: a network card of the VM and its name in the system; without "
                       "any, the cards keep their names and MACs, as the inventory has them")
            ->allow_extra_args(false);
        app.add_flag("--plan", plan_, "show every change as a diff and make none");
        app.add_flag("--undo", undo_,
                     "remove the overlay and its report, or put back what a device had")
            ->excludes("--plan");
        app.add_option("--hold", holds_,
                       "a service that must not start until the runbook releases it")
            ->allow_extra_args(false);
        app.add_option("--initiator-name", initiator_name_, "the standby's own iSCSI name (IQN)");
        app.add_option("--skip", skip_, "leave out a fix, by its name in the report")
            ->allow_extra_args(false);
        app.add_flag("--fast", fast_,
                     "append drivers to the initramfs instead of building it again");
        app.add_flag("--disable-agents", disable_agents_,
                     "keep programs from starting that look for the old hardware");
        app.add_option("--root", root_, "which system to fix, where the disks have several");
        app.add_option("--key-file", keys_, "a file with a passphrase for encrypted volumes")
            ->allow_extra_args(false);
        app.add_option("--inventory", inventory_,
                       "what 'coldspare inventory' wrote on the server, instead of "
                       "IMAGE.inventory.json");
        app.add_option("--overlay", overlay_,
                       "the overlay to make, instead of IMAGE.fixup.qcow2; for one image");
        declare_state_dir(app, state_dir_);
        app.add_option("--timeout", timeout_, "seconds until a run that hangs is ended")
            ->check(CLI::Range(10, 86400))
            ->capture_default_str();
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        const TimePoint start = Clock::now();
        if (!overlay_.empty() && images_.size() > 1) {
            throw Error("--overlay names one overlay, and there are several images",
                        "leave it out: each overlay stands beside its image", ExitStatus::usage);
        }
        if (undo_) {
            return undo(output, std::move(stop));
        }
        const fixup::FixupRequest request = make_request(output);
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
        print_fixup(result, request.depth, output);
        if (const fixup::FixOutcome* obstacle = result.report.obstacle()) {
            throw Error(fmt::format("'{}' cannot be made to boot as a virtual machine: {}: {}",
                                    images_.front(), obstacle->id, obstacle->detail),
                        fixup::way_out(*obstacle));
        }
        for (std::size_t i = 0; i < images_.size() && overlay_.empty() && !plan_; ++i) {
            if (clone::has_generations(images_[i])) {
                clone::publish_overlay(images_[i], request.images[i].image);
                output.line(fmt::format("'{}.fixup.qcow2' links to it: the virtual machine starts "
                                        "from this generation now",
                                        images_[i]));
            }
        }
        output.result(ExitStatus::done, fixup_to_json(result, request.depth));
        return ExitStatus::done;
    }

private:
    /// The overlay is of this generation, whatever the link names later.
    [[nodiscard]] std::vector<fixup::ImageRequest> image_requests() const {
        std::vector<fixup::ImageRequest> requests;
        for (const std::string& image : images_) {
            requests.push_back({.image = clone::resolve_generation(image), .overlay = overlay_});
            if (overlay_.empty() && fs::is_block_file(image)) {
                requests.back().overlay =
                    clone::manifest_path(image, state_dir_).replace_extension(".fixup.qcow2");
            }
        }
        return requests;
    }

    /// Devices are fixed in place.
    [[nodiscard]] fixup::Place place() const {
        const auto devices = std::ranges::count_if(
            images_, [](const std::string& image) { return fs::is_block_file(image); });
        if (devices != 0 && static_cast<std::size_t>(devices) != images_.size()) {
            throw refusal("fix image files and devices together",
                          "a server's disks are cloned either to image files or to devices");
        }
        return devices == 0 ? fixup::Place::overlay : fixup::Place::in_place;
    }

    void check_skipped() const {
        for (const std::string& id : skip_) {
            if (std::ranges::find(fixup::fixes(), id, &fixup::Fix::id) == fixup::fixes().end()) {
                std::vector<std::string_view> ids;
                for (const fixup::Fix& fix : fixup::fixes()) {
                    ids.push_back(fix.id);
                }
                throw Error(fmt::format("there is no fix '{}'", id),
                            fmt::format("these are the fixes: {}", fmt::join(ids, ", ")),
                            ExitStatus::usage);
            }
        }
    }

    [[nodiscard]] fixup::FixupRequest make_request(Output& output) const {
        check_skipped();
        std::vector<fixup::ImageRequest> images = image_requests();
        for (fixup::ImageRequest& each : images) {
            each.base_root = base_root(each.image, output);
        }
        const std::optional<Inventory> inventory = read_inventory(images.front().image);
        std::vector<fixup::NicBinding> nics = fixup::parse_nics(nics_);
        if (nics_.empty()) {
            nics = kept_nics(inventory);
        }
        return {
            .place = place(),
            .images = std::move(images),
            .wishes = {.nics = std::move(nics),
                       .holds = holds_,
                       .initiator_name = initiator_name_,
                       .initramfs =
                           fast_ ? fixup::InitramfsWay::append : fixup::InitramfsWay::rebuild,
                       .agents = disable_agents_ ? fixup::Agents::disable : fixup::Agents::report,
                       .skip = {skip_.begin(), skip_.end()}},
            .inventory = inventory,
            .root = root_,
            .keys = {keys_.begin(), keys_.end()},
            .depth = plan_ ? fixup::Depth::look : fixup::Depth::mend,
            .program = std::string(program_and_version()),
            .appliance = find_appliance(),
            .timeout = std::chrono::seconds(timeout_)};
    }

    /// The file that was named, or the one that came with the clone, if any did.
    [[nodiscard]] std::optional<Inventory> read_inventory(const fs::path& image) const {
        const fs::path path =
            inventory_.empty() ? clone::inventory_path(image, state_dir_) : fs::path(inventory_);
        if (inventory_.empty() && !fs::exists(path)) {
            return std::nullopt;
        }
        try {
            return parse_inventory(read_file(path, largest_inventory));
        } catch (Error& error) {
            error.prepend(fmt::format("reading '{}'", path.string()));
            throw;
        }
    }

    /// Every card keeps its name and its address.
    [[nodiscard]] static std::vector<fixup::NicBinding>
    kept_nics(const std::optional<Inventory>& inventory) {
        constexpr std::size_t ethernet_address = 17; // others, as InfiniBand's, no VM has
        std::vector<std::string> texts;
        for (const NicFacts& nic : inventory ? inventory->nics : std::vector<NicFacts>()) {
            if (nic.kind == NicKind::physical && nic.permanent_mac.size() == ethernet_address) {
                texts.push_back(fmt::format("{}={}", nic.name, nic.permanent_mac));
            }
        }
        if (texts.empty()) {
            throw Error("nobody says which network cards the virtual machine has",
                        "say --nic NAME=MAC for each, or clone with the server's inventory: then "
                        "they keep their addresses",
                        ExitStatus::usage);
        }
        return fixup::parse_nics(texts);
    }

    ExitStatus undo(Output& output, std::stop_token stop) const {
        std::vector<fixup::ImageRequest> images = image_requests();
        if (place() == fixup::Place::in_place) { // its clone must be whole, and the same
            for (fixup::ImageRequest& each : images) {
                each.base_root = base_root(each.image, output);
            }
        }
        const std::vector<fs::path> removed = fixup::undo_fixup(images, place(), std::move(stop));
        json names = json::array();
        for (const fs::path& path : removed) {
            output.line(place() == fixup::Place::in_place
                            ? fmt::format("'{}' is as it was cloned", path.string())
                            : fmt::format("removed '{}'", path.string()));
            names.push_back(path.string());
        }
        for (std::size_t i = 0; i < images_.size(); ++i) {
            // The link that led to it, where there are generations.
            const fs::path link = fixup::default_overlay(images_[i]);
            if (overlay_.empty() && fs::is_symlink(link) && !fs::exists(link)) {
                remove_file_durably(link);
                output.line(fmt::format("removed the link '{}'", link.string()));
            }
        }
        if (removed.empty()) {
            output.line("nothing to undo: there is no overlay");
        }
        output.result(ExitStatus::done, {{"changed", !removed.empty()}, {"removed", names}});
        return ExitStatus::done;
    }

    [[nodiscard]] std::string base_root(const fs::path& image, Output& output) const {
        const std::optional<clone::Manifest> manifest =
            clone::read_manifest(clone::manifest_path(image, state_dir_));
        if (!manifest && fs::exists(clone::journal_path(image, state_dir_))) {
            throw refusal(fmt::format("fix up '{}': it is an unfinished copy", image.string()),
                          "run 'coldspare receive' again: it goes on where it was");
        }
        if (!manifest) {
            output.warning(fmt::format("no manifest: nobody vouches that '{}' is a whole clone",
                                       image.string()));
            return {};
        }
        return clone::hex(manifest->root);
    }

    std::vector<std::string> images_;
    std::vector<std::string> nics_;
    std::vector<std::string> holds_;
    std::string initiator_name_;
    std::vector<std::string> skip_;
    std::string root_;
    std::vector<std::string> keys_;
    std::string inventory_;
    std::string overlay_;
    std::string state_dir_ = default_state_dir;
    bool fast_ = false;
    bool disable_agents_ = false;
    bool plan_ = false;
    bool undo_ = false;
    int timeout_ = 1800;
};

} // namespace

std::unique_ptr<Command> make_fixup_command() {
    return std::make_unique<FixupCommand>();
}

} // namespace coldspare::cli
