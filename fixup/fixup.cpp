#include "fixup/fixup.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "fixup/appliance_client.hpp"
#include "fixup/binding.hpp"
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
        existing_ = fs::exists(overlay_) ? read_binding(binding_path(overlay_)) : std::nullopt;
        if (request_.depth == Depth::mend && !is_reusable()) {
            check_replaceable();
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
    void choose_accelerator() {
        if (request_.accelerator) {
            accelerator_ = *request_.accelerator;
            return;
        }
        const AcceleratorProbe probe = probe_accelerator(stop_);
        accelerator_ = probe.accelerator;
        note_(fmt::format("using {}: {}", accelerator_word(accelerator_), probe.reason));
    }

    /// Whether the overlay in place was made for this clone and for these cards.
    [[nodiscard]] bool is_reusable() const {
        if (!existing_) {
            return false;
        }
        const bool same_root = existing_->base_root.empty() || request_.base_root.empty() ||
                               existing_->base_root == request_.base_root;
        return same_root && existing_->base_stamp == base_.stamp() &&
               existing_->nics == request_.nics;
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
                            existing_ ? "a virtual machine wrote to it since fixup made it"
                                      : "there is no report of the fixup that made it"),
                fmt::format("if nothing in it is needed, remove it and run fixup again: rm '{}'",
                            overlay_.string()));
        }
    }

    [[nodiscard]] RepairReport ask(const fs::path& disk, DiskFormat format, Depth depth) const {
        return run_appliance(request_.appliance,
                             {.disk = fs::absolute(disk),
                              .format = format,
                              .depth = depth,
                              .accelerator = accelerator_,
                              .nics = request_.nics},
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
        base_.check_untouched();
        check_replaceable();
        overlay.install(stop_);
        const Binding binding{.created = utc_timestamp(),
                              .program = request_.program,
                              .base = backing_name(overlay_, base_.path()),
                              .base_root = request_.base_root,
                              .base_stamp = base_.stamp(),
                              .overlay_stamp = stamp_of(overlay_),
                              .accelerator = std::string(accelerator_word(accelerator_)),
                              .nics = request_.nics,
                              .report = report};
        write_file_atomically(binding_path(overlay_), encode_binding(binding));
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
