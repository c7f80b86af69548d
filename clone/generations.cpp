#include "clone/generations.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "clone/copy_file.hpp"
#include "clone/file_identity.hpp"
#include "clone/generation_files.hpp"
#include "clone/manifest.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/open_files.hpp"
#include "clone/seal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;
using namespace generation;

fs::path resolve_generation(const fs::path& image) {
    const fs::path generation = linked_generation(image);
    return generation.empty() ? image : generation;
}

bool has_generations(const fs::path& image) {
    return !linked_generation(image).empty();
}

void publish_overlay(const fs::path& image, const fs::path& generation) {
    if (linked_generation(image) != generation) {
        throw refusal(fmt::format("start the virtual machine from '{}': '{}' is another generation "
                                  "by now",
                                  generation.string(), image.string()),
                      "run fixup again");
    }
    replace_link(overlay_of(image), overlay_of(generation));
}

Generations::Generations(fs::path image, std::function<void(std::string_view)> notice)
    : image_(std::move(image)), notice_(std::move(notice)) {
    if (is_nbd_uri(image_)) {
        throw refusal(fmt::format("keep generations of '{}': it is no image file", image_.string()),
                      "the server of an export can make a snapshot before each re-clone: leave "
                      "--keep away");
    }
    if (!fs::is_directory(directory_of(image_))) {
        throw usage_error(fmt::format("there is no directory '{}'", directory_of(image_).string()),
                          "make the directory, or choose another target");
    }
    const fs::file_status status = fs::symlink_status(image_);
    if (fs::is_symlink(status) && linked_generation(image_).empty()) {
        throw refusal(
            fmt::format("keep generations of '{}': it is a link to elsewhere", image_.string()),
            "name the image itself");
    }
    if (fs::exists(status) && !fs::is_symlink(status) && !fs::is_regular_file(status)) {
        throw refusal(
            fmt::format("keep generations of '{}': it is no image file", image_.string()),
            "a device has room for one copy: receive into an image file, or make a snapshot of "
            "the volume before each re-clone and leave --keep away");
    }
    const fs::path path = image_.string() + ".lock";
    lock_ = open_file(path, O_RDWR | O_CREAT, 0600);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
        throw Error(
            fmt::format("another run is at work on the generations of '{}'", image_.string()),
            "wait until it has ended", ExitStatus::locked);
    }
}

fs::path Generations::path_of(unsigned number) const {
    return fmt::format("{}{}{}", image_.string(), suffix, number);
}

std::vector<Generations::Generation> Generations::list() const {
    std::vector<Generation> found;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory_of(image_))) {
        const unsigned number = number_of(image_, entry.path());
        if (number != 0) {
            const fs::path path = path_of(number);
            found.push_back({number, path, fs::exists(manifest_path(path, {}))});
        }
    }
    std::ranges::sort(found, {}, &Generation::number);
    return found;
}

unsigned Generations::current() const {
    return number_of(image_, linked_generation(image_));
}

std::vector<Generations::Generation> Generations::earlier() const {
    std::vector<Generation> found = list();
    std::erase_if(found, [now = current()](const Generation& generation) {
        return generation.number >= now || !generation.complete ||
               fs::exists(mark_of(generation.path));
    });
    return found;
}

bool Generations::is_pinned(const fs::path& generation) const {
    std::error_code failed;
    return fs::read_symlink(overlay_of(image_), failed) == overlay_of(generation).filename() ||
           is_written_to(overlay_of(generation), report_of(generation)) || open_in_qemu(generation);
}

void Generations::remove(const fs::path& generation) {
    // Whatever a crash leaves of it is marked, and removed by the next run.
    give_up(generation);
    for (const fs::path& path :
         {manifest_path(generation, {}), journal_path(generation, {}), map_path(generation, {}),
          inventory_path(generation, {}), pending_report_of(generation), report_of(generation),
          overlay_of(generation), generation, mark_of(generation)}) {
        remove_file_durably(path);
    }
}

/// An image that was received without generations becomes the first. It gets its second name before
/// it loses the first one, and what a crash has left undone the next run does again.
void Generations::adopt_plain_image(std::stop_token stop) {
    const std::optional<Manifest> manifest = read_manifest(manifest_path(image_, {}));
    const FileIdentity identity = identity_of(image_);
    if (fs::exists(journal_path(image_, {})) || !manifest ||
        FileIdentity{manifest->target_inode, manifest->target_born} != identity) {
        throw refusal(
            fmt::format("keep generations of '{}': it is no finished clone", image_.string()),
            "finish it first by 'coldspare receive' without --keep, or move it away");
    }
    const fs::path overlay = overlay_of(image_);
    if (open_in_qemu(image_) || (fs::exists(overlay) && open_in_qemu(overlay))) {
        throw refusal(
            fmt::format("keep generations of '{}': a virtual machine has it open", image_.string()),
            "stop the virtual machine for this first time");
    }
    const std::vector<Generation> known = list();
    fs::path first = path_of(known.empty() ? 1 : known.back().number + 1);
    for (const Generation& generation : known) {
        if (identity_of(generation.path) == identity) {
            first = generation.path;
        }
    }
    name_twice(image_, first);
    name_twice(manifest_path(image_, {}), manifest_path(first, {}));
    name_twice(map_path(image_, {}), map_path(first, {}));
    name_twice(inventory_path(image_, {}), inventory_path(first, {}));
    if (fs::is_regular_file(fs::symlink_status(overlay))) {
        const bool written_to = is_written_to(overlay, report_of(image_));
        // The same bytes under another name: -u changes nothing but that.
        run_checked({.argv = {"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b",
                              first.filename().string(), fs::absolute(overlay).string()},
                     .deadline = std::chrono::seconds(120)},
                    std::move(stop));
        name_twice(overlay, overlay_of(first));
        if (!written_to) {
            fs::last_write_time(report_of(image_), fs::last_write_time(overlay));
            rename_durably(report_of(image_), report_of(first));
        }
        replace_link(overlay, overlay_of(first));
        remove_file_durably(report_of(image_));
    }
    replace_link(image_, first);
    remove_file_durably(image_.string() + ".manifest");
    remove_file_durably(image_.string() + ".map");
    remove_file_durably(image_.string() + ".inventory.json");
    notice_(fmt::format("'{}' is a link to '{}' from now on", image_.string(),
                        first.filename().string()));
}

fs::path Generations::choose(unsigned keep, std::stop_token stop) {
    keep_ = keep;
    if (fs::is_regular_file(fs::symlink_status(image_))) {
        adopt_plain_image(std::move(stop));
    }
    const std::vector<Generation> known = list();
    if (current() == 0 && known.size() == 1 && known.front().complete) {
        replace_link(image_, known.front().path); // A crash right after the first copy.
    } else if (current() == 0 && known.size() > 1) {
        throw refusal(fmt::format("make another generation of '{}': there are {}, and it does not "
                                  "say which one is current",
                                  image_.string(), known.size()),
                      fmt::format("make the link again: ln -s {} {}",
                                  known.back().path.filename().string(), image_.string()));
    }
    next_ = (known.empty() ? 0 : known.back().number) + 1;
    for (const Generation& generation : known) {
        if (generation.number <= current() || is_pinned(generation.path)) {
            continue;
        }
        if (!generation.complete && !fs::exists(journal_path(generation.path, {})) &&
            has_data(generation.path)) {
            throw refusal(fmt::format("overwrite '{}': it has neither a manifest nor a journal",
                                      generation.path.string()),
                          "it is no copy of ours: move it away");
        }
        next_ = generation.number;
    }
    return path_of(next_);
}

void Generations::make_ready(const DiskFacts& source, Existing existing, std::stop_token stop) {
    const fs::path next = path_of(next_);
    for (const Generation& generation : list()) {
        const bool given_up = generation.number > current() && generation.number != next_;
        if (given_up && !is_pinned(generation.path)) {
            remove(generation.path);
        }
    }
    if (fs::exists(next)) {
        const std::optional<Manifest> manifest = readable_manifest(next);
        const bool of_another = manifest && !is_clone_of(*manifest, source);
        const bool is_begun = manifest || fs::exists(journal_path(next, {}));
        if (is_begun && !(of_another && existing == Existing::erase)) {
            for (const fs::path& path :
                 {pending_report_of(next), report_of(next), overlay_of(next), mark_of(next)}) {
                remove_file_durably(path);
            }
            return;
        }
        remove(next);
    }
    if (current() != 0) {
        seed(source, existing, std::move(stop));
    }
}

void Generations::seed(const DiskFacts& source, Existing existing, std::stop_token stop) {
    const fs::path start = resolve_generation(image_);
    std::optional<Manifest> manifest = readable_manifest(start);
    if (!manifest || !is_clone_of(*manifest, source)) {
        if (existing == Existing::erase) {
            return;
        }
        throw refusal(
            fmt::format("make another generation of '{}': {}", image_.string(),
                        manifest ? fmt::format("it is a clone of '{}'", manifest->source_name)
                                 : "without a readable manifest nobody knows whose clone it is"),
            "check that it is the right one, then say --erase");
    }
    const fs::path next = path_of(next_);
    const fs::path partial = next.string() + ".partial";
    remove_file_durably(partial);
    // What is proved of a file is proved of one that shares its blocks.
    const bool untouched = seal_of(start) == manifest->seal;
    if (reflink_file(start, partial)) {
        become(partial, next, std::move(*manifest), untouched && seal_of(start) == manifest->seal);
        return;
    }
    std::vector<Generation> spare = earlier();
    // The current one will be the youngest of those that are kept.
    spare.resize(spare.size() - std::min<std::size_t>(spare.size(), keep_ - 1));
    for (const Generation& oldest : spare) {
        if (is_pinned(oldest.path)) {
            continue;
        }
        if (std::optional<Manifest> its = readable_manifest(oldest.path)) {
            const bool as_it_was = seal_of(oldest.path) == its->seal;
            give_up(oldest.path);
            become(oldest.path, next, std::move(*its), as_it_was);
            return;
        }
    }
    notice_(fmt::format("copying '{}' ({}), so that it stays as it is", start.string(),
                        format_bytes(fs::file_size(start))));
    copy_sparse_file(start, partial, stop);
    become(partial, next, std::move(*manifest), false);
}

/// The manifest is there before the file has the name: a file without one is none of ours. A crash
/// in between leaves a manifest without a file, or an earlier generation that is given up.
void Generations::become(const fs::path& file, const fs::path& generation, Manifest manifest,
                         bool sealed) {
    const FileIdentity identity = identity_of(file);
    manifest.target_inode = identity.inode;
    manifest.target_born = identity.born;
    manifest.seal.clear();
    write_manifest(manifest_path(generation, {}), manifest);
    for (const fs::path& path :
         {manifest_path(file, {}), map_path(file, {}), inventory_path(file, {}),
          pending_report_of(file), report_of(file), overlay_of(file)}) {
        remove_file_durably(path);
    }
    rename_durably(file, generation);
    remove_file_durably(mark_of(file));
    if (sealed) { // Its new name has changed the time of change.
        manifest.seal = seal_of(generation);
        write_manifest(manifest_path(generation, {}), manifest);
    }
}

void Generations::publish() {
    replace_link(image_, path_of(next_));
}

void Generations::prune() {
    std::vector<Generation> old = list();
    std::erase_if(old, [this](const Generation& generation) {
        return generation.number >= current() || fs::exists(journal_path(generation.path, {}));
    });
    std::size_t kept = 0;
    for (auto generation = old.rbegin(); generation != old.rend(); ++generation) {
        try {
            if (is_pinned(generation->path)) {
                notice_(fmt::format("'{}' stays: its overlay is what starts, or was written to, or "
                                    "a virtual machine has it open",
                                    generation->path.string()));
            } else if (fs::exists(mark_of(generation->path)) ||
                       (generation->complete && ++kept > keep_)) {
                remove(generation->path);
            } else if (!generation->complete) {
                notice_(fmt::format("'{}' stays: it has no manifest, so it may be no copy of ours",
                                    generation->path.string()));
            }
        } catch (const std::exception& error) {
            notice_(fmt::format("'{}' stays: {}", generation->path.string(), error.what()));
        }
    }
}

Generations::Rollback Generations::roll_back() {
    const std::vector<Generation> old = earlier();
    if (old.empty()) {
        throw refusal(
            fmt::format("roll '{}' back: there is no earlier generation", image_.string()),
            "'coldspare receive --keep 1' keeps one from the next re-clone on");
    }
    // One that starts, if there is any: re-clones may have ended without a fixup.
    const auto starts = std::ranges::find_if(old.rbegin(), old.rend(), [](const Generation& each) {
        return fs::exists(report_of(each.path)) && fs::exists(overlay_of(each.path));
    });
    const Generation& back = starts == old.rend() ? old.back() : *starts;
    Rollback done{
        .from = resolve_generation(image_), .to = back.path, .bootable = starts != old.rend()};
    // The overlay first: it is what starts.
    if (done.bootable) {
        replace_link(overlay_of(image_), overlay_of(done.to));
    }
    replace_link(image_, done.to);
    give_up(done.from);
    for (const Generation& each : old) {
        if (each.number > back.number) {
            give_up(each.path);
        }
    }
    return done;
}

} // namespace coldspare::clone
