#include "fixup/fixup.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "fixup/appliance_client.hpp"
#include "fixup/binding.hpp"
#include "fixup/guest_text.hpp"
#include "fixup/overlay.hpp"

#include <fmt/format.h>

#include <optional>

namespace coldspare::fixup {

namespace fs = std::filesystem;

namespace {

/// One run: what stays the same from its first line to its last.
class Run {
public:
    Run(const FixupRequest& request, const NoteCallback& note, std::stop_token stop)
        : request_(request), note_(note), stop_(std::move(stop)),
          overlay_(request.overlay.empty() ? default_overlay(request.image) : request.overlay),
          base_(request.image, stop_) {}

    FixupResult work() {
        existing_ = existing_binding();
        if (request_.depth == Depth::mend && !is_reusable()) {
            check_replaceable();
        }
        if (is_reusable()) {
            check_not_in_use(overlay_, stop_);
        }
        choose_accelerator();
        if (is_reusable()) {
            note_(fmt::format("looking at '{}'", overlay_.string()));
            RepairReport report = ask(overlay_, DiskFormat::qcow2, Depth::look);
            if (report.is_clean()) {
                report.files = existing_->report.files;
                return result(std::move(report));
            }
            note_("the overlay is not as it should be: starting from the clone again");
        }
        return request_.depth == Depth::look
                   ? result(ask(base_.path(), DiskFormat::raw, Depth::look))
                   : build();
    }

private:
    /// The report of the overlay in place. A file of that name which is something else is not ours
    /// to overwrite.
    [[nodiscard]] std::optional<Binding> existing_binding() const {
        std::optional<Binding> binding;
        try {
            binding = read_binding(binding_path(overlay_));
        } catch (const Error& error) {
            throw refusal(
                fmt::format("write the report of '{}': {}", overlay_.string(), error.message()),
                "choose another name with --overlay, or move that file out of the way");
        }
        return fs::exists(overlay_) ? binding : std::nullopt;
    }

    void choose_accelerator() {
        if (request_.accelerator) {
            accelerator_ = *request_.accelerator;
            return;
        }
        const AcceleratorProbe probe = probe_accelerator(stop_);
        accelerator_ = probe.accelerator;
        note_(fmt::format("using {}: {}", accelerator_word(accelerator_), probe.reason));
    }

    /// Whether the overlay in place was made for this clone and for these cards, and nobody wrote
    /// to it since.
    [[nodiscard]] bool is_reusable() const {
        return existing_ && existing_->base_root == request_.base_root &&
               existing_->base_stamp == base_.stamp() && existing_->wishes == request_.wishes &&
               existing_->overlay_stamp == stamp_of(overlay_);
    }

    /// An overlay that a virtual machine wrote to may be the server by now: only a person deletes
    /// it.
    void check_replaceable() const {
        if (!fs::exists(overlay_)) {
            return;
        }
        check_not_in_use(overlay_, stop_);
        if (!existing_ || existing_->overlay_stamp != stamp_of(overlay_)) {
            throw refusal(
                fmt::format("replace '{}': {}", overlay_.string(),
                            existing_
                                ? "a virtual machine wrote to it since fixup made it"
                                : fmt::format("there is no report '{}' that says what is in it",
                                              binding_path(overlay_).string())),
                fmt::format("if nothing in it is needed, remove it and run fixup again: rm {}; a "
                            "virtual machine that runs on a layer above it leaves it as it is",
                            shell_quoted(overlay_.string())));
        }
    }

    [[nodiscard]] RepairReport ask(const fs::path& disk, DiskFormat format, Depth depth) const {
        return run_appliance(request_.appliance,
                             {.disks = {fs::absolute(disk)},
                              .format = format,
                              .depth = depth,
                              .accelerator = accelerator_,
                              .wishes = request_.wishes},
                             request_.timeout, note_, stop_);
    }

    [[nodiscard]] FixupResult result(RepairReport report) const {
        return {.changed = false,
                .overlay = overlay_,
                .base_root = request_.base_root,
                .accelerator = accelerator_,
                .report = std::move(report)};
    }

    [[nodiscard]] FixupResult build() const {
        NewOverlay overlay(overlay_, base_, stop_);
        RepairReport report = ask(overlay.partial(), DiskFormat::qcow2, Depth::mend);
        if (const FixOutcome* obstacle = report.obstacle()) {
            throw Error(fmt::format("'{}' cannot be made to boot as a virtual machine: {}: {}",
                                    request_.image.string(), obstacle->id, obstacle->detail),
                        obstacle->hint);
        }
        overlay.check(stop_);
        base_.check_untouched();
        check_replaceable();
        // From here to the new report there is none: a crash in between leaves an overlay that the
        // next run refuses, and never one with the report of another.
        remove_file_durably(binding_path(overlay_));
        overlay.install();
        const Binding binding{.created = utc_timestamp(),
                              .program = request_.program,
                              .base = backing_name(overlay_, base_.path()),
                              .base_root = request_.base_root,
                              .base_stamp = base_.stamp(),
                              .overlay_stamp = stamp_of(overlay_),
                              .accelerator = std::string(accelerator_word(accelerator_)),
                              .wishes = request_.wishes,
                              .report = report};
        write_file_atomically(binding_path(overlay_), encode_binding(binding));
        overlay.keep();
        FixupResult made = result(std::move(report));
        made.changed = true;
        return made;
    }

    const FixupRequest& request_;
    const NoteCallback& note_;
    std::stop_token stop_;
    fs::path overlay_;
    BaseImage base_;
    std::optional<Binding> existing_;
    Accelerator accelerator_ = Accelerator::tcg;
};

} // namespace

fs::path default_overlay(const fs::path& image) {
    fs::path path = image;
    return path += ".fixup.qcow2";
}

FixupResult run_fixup(const FixupRequest& request, const NoteCallback& note, std::stop_token stop) {
    return Run(request, note, std::move(stop)).work();
}

} // namespace coldspare::fixup
