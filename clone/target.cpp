#include "clone/target.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/file_identity.hpp"
#include "clone/manifest.hpp"
#include "clone/map_file.hpp"
#include "clone/open_files.hpp"
#include "clone/seal.hpp"
#include "clone/uses.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

Target::Target(TargetRequest request) : request_(std::move(request)) {}

Target::~Target() {
    if (!made_) {
        return;
    }
    // Another run may have taken the half-made file for its own by now.
    const Fd fd(::open(request_.path.c_str(), O_RDWR | O_CLOEXEC));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && look(request_.path) == opened_) {
        ::unlink(request_.path.c_str());
        if (journal_) {
            ::unlink(journal_path(request_.path, request_.state_dir).c_str());
        }
    }
}

std::optional<Target::Stamp> Target::look(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return std::nullopt;
    }
    const DiskFacts facts = read_disk_facts(path);
    return Stamp{.device = status.st_dev,
                 .inode = status.st_ino,
                 .node = status.st_rdev,
                 .size = facts.size,
                 .serial = facts.serial,
                 .wwn = facts.wwn};
}

void Target::check_still_there() const {
    if (look(request_.path) != opened_) {
        throw Error(
            fmt::format("'{}' was removed or replaced during the copy", request_.path.string()),
            "the copy cannot be found any more: clone again, and keep others from the target");
    }
}

fs::path Target::manifest() const {
    return manifest_path(request_.path, request_.state_dir);
}

fs::path Target::map() const {
    return map_path(request_.path, request_.state_dir);
}

void Target::check() {
    const std::string name = request_.path.string();
    const std::optional<Stamp> now = look(request_.path);
    if (checked_ && now != seen_) {
        throw refusal(
            fmt::format("overwrite '{}': it is not what it was when this run started", name),
            "devices may have been plugged or renamed: look with 'coldspare disks'");
    }
    checked_ = true;
    seen_ = now;
    if (!now) {
        const fs::path parent =
            request_.path.has_parent_path() ? request_.path.parent_path() : fs::path(".");
        if (!fs::is_directory(parent)) {
            throw usage_error(fmt::format("cannot create '{}': there is no directory '{}'", name,
                                          parent.string()),
                              "make the directory, or choose another target");
        }
        if (fs::canonical(parent).string().starts_with("/dev")) {
            throw usage_error(
                fmt::format("there is no device '{}'", name),
                "'coldspare disks' lists the disks of this machine; an image does not "
                "belong under /dev");
        }
        return;
    }
    const DiskFacts facts = read_disk_facts(request_.path);
    if (const std::vector<Use> uses = uses_of(request_.path); !uses.empty()) {
        if (uses.front().kind == UseKind::program && is_locked(request_.path)) {
            throw locked_by_another_run(name);
        }
        throw in_use(name, uses);
    }
    // A device may have found another use since; an image is known by its inode and birth.
    const bool ours =
        facts.kind == DiskKind::file && (made_ || find_journal() || is_our_file(find_clone()));
    if (request_.existing == Existing::refuse && !ours) {
        require_leave();
    }
}

void Target::require_leave() {
    const std::string name = request_.path.string();
    const DiskEntry disk = inspect_disk(request_.path);
    if (!request_.ask) {
        throw refusal(fmt::format("overwrite '{}': it exists ({})", name, summary_of(disk)),
                      "check that it is the right one, then say --erase");
    }
    const OverwriteQuestion question = question_about(disk);
    if (!is_answer(question, request_.ask(question))) {
        throw refusal(
            fmt::format("overwrite '{}': what was typed is not its {}", name, question.noun),
            "look with 'coldspare disks', and run the command again");
    }
    request_.existing = Existing::erase;
}

void Target::save_what_was_there() {
    // A copy that an earlier run began was saved by that one, and a clone is nothing that is lost.
    if (ends_settled_ || !fs::is_block_file(request_.path)) {
        return;
    }
    bool only_ours = false;
    try {
        const std::optional<Manifest> clone = read_manifest(manifest());
        only_ours = clone && ends_are_of(request_.path, *clone);
    } catch (const Error&) {
        // Damaged: it says nothing of what is there.
    }
    if (!only_ours) {
        saved_ = save_ends(request_.path, request_.state_dir);
    }
    ends_settled_ = true;
    if (!saved_) {
        return;
    }
    request_.notice(fmt::format("the first and last MiB of '{}' are saved: '{}'",
                                request_.path.string(), saved_->description.string()));
}

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

JournalHead Target::head_for(const DiskFacts& source, const Geometry& geometry) const {
    const DiskFacts facts = read_disk_facts(request_.path);
    const bool is_file = facts.kind == DiskKind::file;
    const FileIdentity file = is_file ? identity_of(request_.path) : FileIdentity();
    return {.geometry = geometry,
            .source_name = source.name,
            .source_model = source.model,
            .source_serial = source.serial,
            .source_wwn = source.wwn,
            .target_inode = file.inode,
            .target_born = file.born,
            .target_serial = facts.serial,
            .target_wwn = facts.wwn};
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
                      fmt::format("choose a target of at least {} bytes", source.size));
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

Destination::Opened Target::open(const DiskFacts& source, const Geometry& geometry) {
    check();
    journal_.reset();
    resumed_.reset();
    renewed_ = false;
    TargetContent content = TargetContent::unknown;
    if (seen_) {
        check_fits(source, read_disk_facts(request_.path));
    } else {
        create_image(request_.path, source.size);
        made_ = true;
        content = TargetContent::zeros;
        opened_ = look(request_.path);
        // The new file may lie on the source itself.
        check_fits(source, read_disk_facts(request_.path));
    }
    head_ = head_for(source, geometry);
    if (seen_) {
        find_earlier();
    }
    Opened opened{.disk = open_target(request_.path, request_.direct, content)};
    opened_ = look(request_.path);
    seen_ = opened_;
    request_.notice(fmt::format("receiving '{}' ({}) into '{}'", source.name,
                                format_bytes(source.size), request_.path.string()));
    if (renewed_) {
        opened.mode = CopyMode::delta;
        opened.worth_reading = {{0, geometry.size}};
        opened.full_copy_ms = full_copy_ms_;
        if (request_.earlier == Earlier::trust) {
            opened.proved = prove(*opened.disk, geometry);
        }
        request_.notice(opened.proved.empty()
                            ? "it holds an earlier clone of it: both sides read their disks, and "
                              "only what differs travels"
                            : "it holds an earlier clone of it, to which nobody has written since: "
                              "only the source reads its disk, and what differs travels");
    } else if (resumed_ && !resumed_->durable.empty()) {
        opened.mode = CopyMode::resume;
        opened.worth_reading = resumed_->durable;
        std::uint64_t bytes = 0;
        for (const Range& range : opened.worth_reading) {
            bytes += range.length;
        }
        request_.notice(
            fmt::format("an interrupted run left {} of it on the target: both sides read "
                        "that again, and only the rest travels",
                        format_bytes(bytes)));
    }
    return opened;
}

std::vector<Leaf> Target::prove(Disk& disk, const Geometry& geometry) const {
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
    if (const std::unique_ptr<Disk> medium = open_for_verify(request_.path);
        !samples_match(*medium, geometry, clone->leaves)) {
        return doubt("a block is not what the manifest says");
    }
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
    const bool ignored = request_.earlier == Earlier::ignore && !recorded_;
    renewed_ = clone && of_this_source && !ignored;
    // What a journal calls durable is cut into its own blocks.
    if (!of_this_source || ignored || (resumed_ && resumed_->head.geometry != head_->geometry)) {
        resumed_.reset();
    }
}

void Target::begin() {
    save_what_was_there();
    const fs::path path = journal_path(request_.path, request_.state_dir);
    journal_ = resumed_ ? Journal::reopen(path, *resumed_) : Journal::create(path, *head_);
    if (renewed_) { // All of it is worth reading, should this run be interrupted.
        journal_->append(std::vector<Range>{{0, head_->geometry.size}});
        recorded_ = true;
    }
    // Also beside a new image: an older one that somebody removed may have left its manifest.
    remove_file_durably(manifest());
}

void Target::record(std::span<const Range> durable) {
    journal_->append(durable);
    made_ = false;
    recorded_ = true;
}

std::unique_ptr<Disk> Target::open_medium() {
    return open_for_verify(request_.path);
}

void Target::keep(Manifest manifest_of_copy) {
    check_still_there();
    if (manifest_of_copy.unreadable.empty()) {
        remove_file_durably(map());
    } else {
        write_map_file(map(), {.size = manifest_of_copy.geometry.size,
                               .bad = manifest_of_copy.unreadable,
                               .program = manifest_of_copy.program,
                               .created = manifest_of_copy.created});
    }
    const JournalHead here = head_for({}, manifest_of_copy.geometry);
    manifest_of_copy.target_inode = here.target_inode;
    manifest_of_copy.target_born = here.target_born;
    manifest_of_copy.seal = seal_of(request_.path);
    write_manifest(manifest(), manifest_of_copy);
    remove_file_durably(journal_path(request_.path, request_.state_dir));
    journal_.reset();
    made_ = false;
    request_.when_kept();
}

} // namespace coldspare::clone
