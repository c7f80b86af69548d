#include "clone/generations.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "clone/copy_file.hpp"
#include "clone/file_identity.hpp"
#include "clone/manifest.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/open_files.hpp"
#include "clone/seal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view suffix = ".gen";

/// N of "IMAGE.genN", or 0. A number of more than nine digits is none of ours.
unsigned number_of(const fs::path& image, const fs::path& generation) {
    const std::string start = image.filename().string() + std::string(suffix);
    const std::string name = generation.filename().string();
    if (!name.starts_with(start)) {
        return 0;
    }
    const std::string_view digits = std::string_view(name).substr(start.size());
    unsigned number = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
    const bool plain =
        error == std::errc() && end == digits.end() && digits.size() <= 9 && digits.front() != '0';
    return plain ? number : 0;
}

fs::path directory_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// The generation that a link names; empty if it names anything else, or is none.
fs::path linked_generation(const fs::path& image) {
    std::error_code failed;
    const fs::path named = fs::read_symlink(image, failed);
    if (failed || named.has_parent_path() || number_of(image, named) == 0) {
        return {};
    }
    return image.parent_path() / named;
}

/// Makes `link` name what lies beside it, whatever it was before.
void replace_link(const fs::path& link, const fs::path& beside) {
    const fs::path fresh = link.string() + ".new";
    ::unlink(fresh.c_str()); // Of a run that crashed.
    if (::symlink(beside.filename().c_str(), fresh.c_str()) != 0 ||
        ::rename(fresh.c_str(), link.c_str()) != 0) {
        throw system_error(fmt::format("cannot link '{}' to '{}'", link.string(), beside.string()),
                           errno);
    }
    sync_parent_directory(link);
}

void rename_durably(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        throw system_error(fmt::format("cannot rename '{}' to '{}'", from.string(), to.string()),
                           errno);
    }
    sync_parent_directory(to);
}

/// A second name for a file, if there is one.
void name_twice(const fs::path& path, const fs::path& second) {
    if (::link(path.c_str(), second.c_str()) != 0 && errno != EEXIST && errno != ENOENT) {
        throw system_error(fmt::format("cannot link '{}' to '{}'", second.string(), path.string()),
                           errno);
    }
    sync_parent_directory(second);
}

fs::path overlay_of(const fs::path& image) {
    return image.string() + ".fixup.qcow2";
}

fs::path report_of(const fs::path& image) {
    return image.string() + ".fixup.json";
}

} // namespace

fs::path resolve_generation(const fs::path& image) {
    const fs::path generation = linked_generation(image);
    return generation.empty() ? image : generation;
}

bool has_generations(const fs::path& image) {
    return !linked_generation(image).empty();
}

void publish_overlay(const fs::path& image, const fs::path& overlay) {
    replace_link(overlay_of(image), overlay);
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
        return generation.number >= now || !generation.complete;
    });
    return found;
}

bool Generations::is_pinned(const fs::path& generation) const {
    std::error_code failed;
    return fs::read_symlink(overlay_of(image_), failed) == overlay_of(generation).filename() ||
           open_in_qemu(generation);
}

void Generations::remove(const fs::path& generation) const {
    // The manifest first: what is left after a crash vouches for nothing.
    for (const fs::path& path :
         {manifest_path(generation, {}), journal_path(generation, {}), map_path(generation, {}),
          report_of(generation), overlay_of(generation), generation}) {
        remove_file_durably(path);
    }
}

/// An image that was received without generations becomes the first. It gets its second name before
/// it loses the first one, and what a crash has left undone the next run does again.
void Generations::adopt_plain_image(std::stop_token stop) {
    if (fs::exists(journal_path(image_, {})) || !read_manifest(manifest_path(image_, {}))) {
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
        if (identity_of(generation.path) == identity_of(image_)) {
            first = generation.path;
        }
    }
    name_twice(image_, first);
    name_twice(manifest_path(image_, {}), manifest_path(first, {}));
    name_twice(map_path(image_, {}), map_path(first, {}));
    if (fs::is_regular_file(fs::symlink_status(overlay))) {
        // The same bytes under another name: -u changes nothing but that.
        run_checked({.argv = {"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b",
                              first.filename().string(), fs::absolute(overlay).string()},
                     .deadline = std::chrono::seconds(120)},
                    std::move(stop));
        name_twice(overlay, overlay_of(first));
        replace_link(overlay, overlay_of(first));
        remove_file_durably(report_of(image_)); // It tells another time of change.
    }
    replace_link(image_, first);
    remove_file_durably(image_.string() + ".manifest");
    remove_file_durably(image_.string() + ".map");
    notice_(fmt::format("'{}' is a link to '{}' from now on", image_.string(),
                        first.filename().string()));
}

Generations::Next Generations::prepare(unsigned keep, std::stop_token stop) {
    keep_ = keep;
    if (fs::is_regular_file(fs::symlink_status(image_))) {
        adopt_plain_image(stop);
    }
    const unsigned now = current();
    std::optional<Generation> begun;
    for (const Generation& generation : list()) {
        if (generation.number <= now || is_pinned(generation.path)) {
            continue;
        }
        if (begun) { // Given up by a rollback.
            remove(begun->path);
        }
        begun = generation;
    }
    if (begun && !begun->complete && !fs::exists(journal_path(begun->path, {}))) {
        remove(begun->path); // A crash before anything in it was durable.
        begun.reset();
    }
    if (begun) {
        remove_file_durably(report_of(begun->path));
        remove_file_durably(overlay_of(begun->path));
        next_ = begun->number;
        return {begun->path, Seed::resumed};
    }
    const std::vector<Generation> known = list();
    next_ = (known.empty() ? now : std::max(now, known.back().number)) + 1;
    return now == 0 ? Next{path_of(next_), Seed::none} : seed(keep, std::move(stop));
}

Generations::Next Generations::seed(unsigned keep, std::stop_token stop) {
    const fs::path source = resolve_generation(image_);
    const fs::path path = path_of(next_);
    std::optional<Manifest> manifest;
    try {
        manifest = read_manifest(manifest_path(source, {}));
    } catch (const Error&) {
        // Damaged: then nobody knows whose clone it is.
    }
    if (!manifest) {
        return {path, Seed::none};
    }
    // What is proved of the file that it starts as is proved of the new one.
    const auto starts_as = [&path](Manifest earlier, bool untouched) {
        const FileIdentity identity = identity_of(path);
        earlier.target_inode = identity.inode;
        earlier.target_born = identity.born;
        earlier.seal = untouched ? seal_of(path) : std::string();
        write_manifest(manifest_path(path, {}), earlier);
    };
    const bool untouched = seal_of(source) == manifest->seal;
    Next next{path, Seed::reflink};
    if (!reflink_file(source, path)) {
        std::vector<Generation> spare = earlier();
        // The current one will be the youngest of those that are kept.
        spare.resize(spare.size() - std::min<std::size_t>(spare.size(), keep - 1));
        std::erase_if(spare,
                      [this](const Generation& generation) { return is_pinned(generation.path); });
        if (!spare.empty()) {
            const fs::path& oldest = spare.front().path;
            const std::optional<Manifest> its = read_manifest(manifest_path(oldest, {}));
            const bool as_it_was = its && seal_of(oldest) == its->seal;
            recycle(oldest, path);
            if (its) {
                starts_as(*its, as_it_was);
            }
            return {path, Seed::recycled};
        }
        notice_(fmt::format("copying '{}' ({}), so that it stays as it is", source.string(),
                            format_bytes(fs::file_size(source))));
        copy_sparse_file(source, path, stop);
        next.seed = Seed::copied;
    }
    starts_as(std::move(*manifest), untouched && seal_of(source) == manifest->seal);
    return next;
}

/// After a crash between the two names the file has no manifest, and is removed by the next run.
void Generations::recycle(const fs::path& from, const fs::path& to) const {
    remove_file_durably(report_of(from));
    remove_file_durably(overlay_of(from));
    remove_file_durably(map_path(from, {}));
    rename_durably(from, to);
    rename_durably(manifest_path(from, {}), manifest_path(to, {}));
}

void Generations::publish() {
    replace_link(image_, path_of(next_));
    const std::vector<Generation> old = earlier();
    for (std::size_t i = 0; i + keep_ < old.size(); ++i) {
        if (is_pinned(old[i].path)) {
            notice_(fmt::format("'{}' stays: '{}' is its overlay, or a virtual machine has it open",
                                old[i].path.string(), overlay_of(image_).string()));
        } else {
            remove(old[i].path);
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
    Rollback done{.from = resolve_generation(image_), .to = old.back().path};
    // The overlay first: it is what starts.
    if (fs::exists(report_of(done.to)) && fs::exists(overlay_of(done.to))) {
        replace_link(overlay_of(image_), overlay_of(done.to));
        done.bootable = true;
    }
    replace_link(image_, done.to);
    return done;
}

} // namespace coldspare::clone
