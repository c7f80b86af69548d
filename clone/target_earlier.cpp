// What an earlier run has left on a target, and what of it is believed.
#include "clone/target.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "clone/manifest.hpp"
#include "clone/seal.hpp"

#include <fmt/format.h>

#include <linux/magic.h>
#include <sys/vfs.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

JournalHead head_of(const Manifest& clone) {
    return {.geometry = clone.geometry,
            .source_name = clone.source_name,
            .source_model = clone.source_model,
            .source_serial = clone.source_serial,
            .source_wwn = clone.source_wwn,
            .target_inode = clone.target_inode,
            .target_born = clone.target_born};
}

/// Whether `head` is of a copy of the same disk. Where a disk has no number of its own, its name
/// counts.
bool same_source(const JournalHead& one, const JournalHead& other) {
    const bool numbered = !one.source_serial.empty() || !one.source_wwn.empty();
    return one.geometry.size == other.geometry.size && one.source_serial == other.source_serial &&
           one.source_wwn == other.source_wwn && one.source_model == other.source_model &&
           (numbered || one.source_name == other.source_name);
}

} // namespace

std::optional<JournalContent> Target::find_journal() const {
    try {
        std::optional<JournalContent> journal =
            read_journal(journal_path(request_.path, request_.state_dir));
        // begin() removes the manifest before the first write, and keep() the journal after the
        // manifest is there: with both, a crash came in between and the old copy is whole.
        if (!journal || fs::exists(manifest())) {
            return std::nullopt;
        }
        const JournalHead here = head_for({}, journal->head.geometry);
        if (here.target_inode == journal->head.target_inode &&
            here.target_born == journal->head.target_born &&
            here.target_serial == journal->head.target_serial &&
            here.target_wwn == journal->head.target_wwn) {
            return journal;
        }
    } catch (const Error&) {
        // A journal that cannot be read says nothing: the target is like any other.
    }
    return std::nullopt;
}

std::optional<Manifest> Target::find_clone() const {
    try {
        std::optional<Manifest> clone = read_manifest(manifest());
        if (clone) {
            clone->leaves = {};
        }
        return clone;
    } catch (const Error&) {
        // Damaged: it vouches for nothing, and the target is like any other.
    }
    return std::nullopt;
}

bool Target::is_our_file(const std::optional<Manifest>& clone) const {
    if (!clone || clone->target_inode == 0) {
        return false;
    }
    const JournalHead here = head_for({}, clone->geometry);
    return here.target_inode == clone->target_inode && here.target_born == clone->target_born;
}

std::vector<Leaf> Target::prove(Disk& disk, const Geometry& geometry) {
    if (!renewed_ || request_.earlier != Earlier::trust) {
        return {};
    }
    const auto doubt = [this](std::string_view reason) {
        request_.notice(fmt::format("the manifest is not trusted: {}", reason));
        return std::vector<Leaf>();
    };
    disk.flush(); // What somebody wrote through the page cache counts now.
    const std::string seal = seal_of(request_.path);
    if (seal.empty()) {
        return doubt("nothing proves that nobody has written to this target");
    }
    std::optional<Manifest> clone = read_manifest(manifest()); // find_clone() could read it.
    if (!clone || clone->seal != seal) {
        return doubt("somebody has written to the target since, or this machine was started again");
    }
    if (clone->geometry != geometry) {
        return doubt("the clone was made in blocks of another size");
    }
    if (!clone->grown.empty()) {
        return doubt("a file system was grown after the clone");
    }
    if (clone->view != (layout() ? std::optional(layout()->view) : std::nullopt)) {
        return doubt("the clone has another layout");
    }
    if (const std::unique_ptr<Disk> medium = layout_.show_medium(open_for_verify(request_.path));
        !samples_match(*medium, geometry, clone->leaves)) {
        return doubt("a block is not what the manifest says");
    }
    request_.notice("nobody has written to it since: only the source reads its disk");
    return std::move(clone->leaves);
}

void Target::find_earlier() {
    resumed_ = find_journal();
    // A device without a number of its own may be another one by now.
    ends_settled_ =
        ends_settled_ ||
        (resumed_ && !(resumed_->head.target_serial.empty() && resumed_->head.target_wwn.empty()));
    const std::optional<Manifest> clone = resumed_ ? std::nullopt : find_clone();
    if (!resumed_ && !clone) {
        return;
    }
    const JournalHead earlier = resumed_ ? resumed_->head : head_of(*clone);
    full_copy_ms_ = clone ? clone->full_copy_ms : 0;
    const bool of_this_source = same_source(earlier, *head_);
    if (!of_this_source && request_.existing == Existing::refuse) {
        throw refusal(fmt::format("overwrite '{}': it is {} of '{}'", request_.path.string(),
                                  resumed_ ? "an unfinished copy" : "a clone", earlier.source_name),
                      "check that it is the right one, then say --erase");
    }
    if (clone && clone->view && !request_.partitions && request_.existing == Existing::refuse &&
        (clone->view->moved() || !clone->view->unwanted().empty())) {
        throw refusal(
            fmt::format("copy the whole disk to '{}': it holds a clone that was made partition by "
                        "partition",
                        request_.path.string()),
            "say --partitions and its other options again, or --erase");
    }
    const bool ignored = request_.earlier == Earlier::ignore && !recorded_;
    renewed_ = clone && of_this_source && !ignored;
    // What a journal calls durable is cut into its own blocks.
    if (!of_this_source || ignored || (resumed_ && resumed_->head.geometry != head_->geometry)) {
        resumed_.reset();
    }
}

bool is_clone_of(const Manifest& clone, const DiskFacts& source) {
    return same_source(head_of(clone), {.geometry = {source.size, clone.geometry.block_size},
                                        .source_name = source.name,
                                        .source_model = source.model,
                                        .source_serial = source.serial,
                                        .source_wwn = source.wwn});
}

void check_fits(const DiskFacts& source, const DiskFacts& target) {
    if (overlap(source, target)) {
        throw refusal(fmt::format("copy '{}' to '{}': they are the same disk, or one lies on the "
                                  "other",
                                  source.name, target.name),
                      "choose another target");
    }
    if (target.size < source.size) {
        throw refusal(fmt::format("copy '{}' to '{}': the source has {} bytes ({}), the target {} "
                                  "({})",
                                  source.name, target.name, source.size, format_bytes(source.size),
                                  target.size, format_bytes(target.size)),
                      fmt::format("choose a target of at least {} bytes; where all partitions end "
                                  "before that, --partitions copies them",
                                  source.size));
    }
    if (source.logical_sector != 0 && target.kind == DiskKind::block &&
        source.logical_sector != target.logical_sector) {
        throw refusal(fmt::format("copy '{}' to '{}': the source has sectors of {} bytes, the "
                                  "target of {}",
                                  source.name, target.name, source.logical_sector,
                                  target.logical_sector),
                      "partition tables count in sectors, so the copy could not be read: choose a "
                      "target with the same sector size, or an image file");
    }
}

bool lies_in_memory(const fs::path& path) {
    const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
    struct statfs status {};
    return !fs::is_block_file(path) && ::statfs(parent.c_str(), &status) == 0 &&
           (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

} // namespace coldspare::clone
