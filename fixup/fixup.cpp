#include "fixup/fixup.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "fixup/ask.hpp"
#include "fixup/binding.hpp"
#include "fixup/guest_text.hpp"
#include "fixup/in_place.hpp"
#include "fixup/overlay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>

namespace coldspare::fixup {

namespace fs = std::filesystem;

namespace {

/// The report at `path`. A file of that name which is something else is not ours to overwrite.
std::optional<Binding> our_binding(const fs::path& path) {
    try {
        return read_binding(path);
    } catch (const Error& error) {
        throw refusal(fmt::format("write the report '{}': {}", path.string(), error.message()),
                      "choose another name with --overlay, or move that file out of the way");
    }
}

/// The overlay of one image, as an earlier run left it.
class Standing {
public:
    /// `pending` is what the run before wanted to leave, if it did not get to the end.
    Standing(fs::path overlay, const std::optional<Binding>& pending)
        : path_(std::move(overlay)), report_(our_binding(binding_path(path_))),
          pending_(finished_stamp(pending, path_)) {}

    [[nodiscard]] const fs::path& path() const { return path_; }
    [[nodiscard]] const std::optional<Binding>& report() const { return report_; }
    [[nodiscard]] bool exists() const { return fs::exists(path_); }

    /// Whether it is as a run of ours finished it.
    [[nodiscard]] bool is_as_finished() const {
        return exists() && finished_stamp(report_, path_) == stamp_of(path_);
    }

    /// An overlay that a virtual machine wrote to may be the server by now: only a person deletes
    /// it.
    void check_replaceable(std::string_view action, std::stop_token stop) const {
        if (!exists()) {
            return;
        }
        check_not_in_use(path_, std::move(stop));
        const FileStamp stamp = stamp_of(path_);
        const std::optional<FileStamp> finished = finished_stamp(report_, path_);
        if (finished == stamp || pending_ == stamp) {
            return;
        }
        throw refusal(
            fmt::format("{} '{}': {}", action, path_.string(),
                        finished ? "a virtual machine wrote to it since fixup made it"
                                 : fmt::format("there is no report '{}' that says what is in it",
                                               binding_path(path_).string())),
            fmt::format("if nothing in it is needed, remove it and run fixup again: rm {}; a "
                        "virtual machine that runs on a layer above it leaves it as it is",
                        shell_quoted(path_.string())));
    }

private:
    fs::path path_;
    std::optional<Binding> report_;
    std::optional<FileStamp> pending_;
};

/// Those of all images; the first one's neighbour tells what an interrupted run wanted to leave.
std::vector<Standing> standing_overlays(const std::vector<ImageRequest>& images) {
    const std::optional<Binding> pending = our_binding(pending_path(overlay_of(images.front())));
    std::vector<Standing> standing;
    for (const ImageRequest& each : images) {
        standing.emplace_back(overlay_of(each), pending);
    }
    return standing;
}

/// One run: what stays the same from its first line to its last.
class Run {
public:
    Run(const FixupRequest& request, const NoteCallback& note, std::stop_token stop)
        : request_(request), note_(note), stop_(std::move(stop)) {
        check_distinct(request_.images);
        for (const ImageRequest& each : request_.images) {
            bases_.push_back(std::make_unique<BaseImage>(each.image, stop_));
        }
        standing_ = standing_overlays(request_.images);
    }

    FixupResult work() {
        const bool reusable = is_reusable();
        if (request_.depth == Depth::mend && !reusable) {
            check_replaceable();
        }
        if (reusable) {
            for (const Standing& each : standing_) {
                check_not_in_use(each.path(), stop_);
            }
        }
        accelerator_ = choose_accelerator(request_, note_, stop_);
        if (reusable) {
            note_(fmt::format("looking at '{}'", standing_.front().path().string()));
            RepairReport report = ask(overlays(), DiskFormat::qcow2, Depth::look);
            if (report.is_clean()) {
                report.files = standing_.front().report()->report.files;
                return result(std::move(report));
            }
            note_("the overlay is not as it should be: starting from the clone again");
        }
        return request_.depth == Depth::look
                   ? result(ask(base_paths(), DiskFormat::raw, Depth::look))
                   : build();
    }

private:
    [[nodiscard]] std::vector<fs::path> overlays() const {
        std::vector<fs::path> paths;
        for (const Standing& each : standing_) {
            paths.push_back(each.path());
        }
        return paths;
    }
    [[nodiscard]] std::vector<fs::path> base_paths() const {
        std::vector<fs::path> paths;
        for (const std::unique_ptr<BaseImage>& base : bases_) {
            paths.push_back(base->path());
        }
        return paths;
    }

    /// Whether the overlays in place were made together for these clones and these wishes, and
    /// nobody wrote to them since.
    [[nodiscard]] bool is_reusable() const {
        const std::optional<Binding>& first = standing_.front().report();
        if (!first || first->wishes != request_.wishes || first->root != request_.root ||
            first->layers.size() != standing_.size()) {
            return false;
        }
        for (std::size_t i = 0; i < standing_.size(); ++i) {
            const Layer& layer = first->layers[i];
            if (layer.base_root != request_.images[i].base_root ||
                layer.base_stamp != bases_[i]->stamp() || !standing_[i].is_as_finished() ||
                standing_[i].report() != first) {
                return false;
            }
        }
        return true;
    }

    void check_replaceable() const {
        for (const Standing& each : standing_) {
            each.check_replaceable("replace", stop_);
        }
    }

    [[nodiscard]] RepairReport ask(const std::vector<fs::path>& disks, DiskFormat format,
                                   Depth depth) const {
        return ask_appliance(request_, {disks, format, depth, accelerator_}, note_, stop_);
    }

    [[nodiscard]] FixupResult result(RepairReport report) const {
        return result_of(request_, overlays(), accelerator_, std::move(report));
    }

    [[nodiscard]] FixupResult build() const {
        std::deque<NewOverlay> fresh;
        std::vector<fs::path> partial;
        for (std::size_t i = 0; i < standing_.size(); ++i) {
            fresh.emplace_back(standing_[i].path(), *bases_[i], stop_);
            partial.push_back(fresh.back().partial());
        }
        RepairReport report = ask(partial, DiskFormat::qcow2, Depth::mend);
        check_no_obstacle(request_, report);
        for (std::size_t i = 0; i < fresh.size(); ++i) {
            fresh[i].check(stop_);
            bases_[i]->check_untouched();
        }
        check_replaceable();
        put_in_place(fresh, encode_binding(binding(fresh, report)));
        FixupResult made = result(std::move(report));
        made.changed = true;
        return made;
    }

    [[nodiscard]] Binding binding(const std::deque<NewOverlay>& fresh,
                                  const RepairReport& report) const {
        Binding binding = binding_of(request_, accelerator_, report);
        for (std::size_t i = 0; i < fresh.size(); ++i) {
            const fs::path& path = standing_[i].path();
            binding.layers.push_back({.base = backing_name(path, bases_[i]->path()),
                                      .base_root = request_.images[i].base_root,
                                      .base_stamp = bases_[i]->stamp(),
                                      .overlay = path.filename().string(),
                                      .overlay_stamp = stamp_of(fresh[i].partial())});
        }
        return binding;
    }

    /// First a note of what will be there, then the overlays, then their reports: whenever a crash
    /// comes, each overlay has its own report or stands in the note, and the next run replaces it.
    void put_in_place(std::deque<NewOverlay>& fresh, const std::string& report) const {
        const fs::path pending = pending_path(standing_.front().path());
        write_file_atomically(pending, report, report_mode);
        for (NewOverlay& overlay : fresh) {
            overlay.install();
        }
        for (const Standing& each : standing_) {
            write_file_atomically(binding_path(each.path()), report, report_mode);
        }
        for (NewOverlay& overlay : fresh) {
            overlay.keep();
        }
        remove_file_durably(pending);
    }

    const FixupRequest& request_;
    const NoteCallback& note_;
    std::stop_token stop_;
    std::vector<std::unique_ptr<BaseImage>> bases_;
    std::vector<Standing> standing_;
    Accelerator accelerator_ = Accelerator::tcg;
};

} // namespace

FixupResult run_fixup(const FixupRequest& request, const NoteCallback& note, std::stop_token stop) {
    return request.place == Place::in_place ? fix_in_place(request, note, std::move(stop))
                                            : Run(request, note, std::move(stop)).work();
}

std::vector<fs::path> undo_fixup(const std::vector<ImageRequest>& images, Place place,
                                 std::stop_token stop) {
    if (place == Place::in_place) {
        return undo_in_place(images);
    }
    check_distinct(images);
    const std::vector<Standing> standing = standing_overlays(images);
    for (const Standing& each : standing) {
        each.check_replaceable("remove", stop);
    }
    std::vector<fs::path> removed;
    for (const Standing& each : standing) {
        // The report last: an overlay without one would be nobody's.
        for (const fs::path& path : {each.path(), binding_path(each.path())}) {
            if (fs::exists(path)) {
                remove_file_durably(path);
                removed.push_back(path);
            }
        }
    }
    remove_file_durably(pending_path(standing.front().path()));
    return removed;
}

} // namespace coldspare::fixup
