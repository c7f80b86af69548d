#include "clone/target.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/manifest.hpp"
#include "clone/map_file.hpp"
#include "clone/sysfs.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

/// QEMU marks an image that it has open with OFD locks on bytes 100 to 299 (block/file-posix.c).
bool open_in_qemu(const fs::path& path) {
    const Fd fd = open_file(path, O_RDONLY);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 100;
    lock.l_len = 200;
    return ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/// Nanoseconds since 1970, or 0 where the file system does not tell (statx(2)). A file that was
/// removed often leaves its inode number to the next one.
std::uint64_t time_of_birth(const fs::path& path) {
    struct statx status {};
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_BTIME, &status) != 0 ||
        (status.stx_mask & STATX_BTIME) == 0) {
        return 0;
    }
    return static_cast<std::uint64_t>(status.stx_btime.tv_sec) * 1'000'000'000 +
           status.stx_btime.tv_nsec;
}

std::string describe(const DiskFacts& disk) {
    std::string text = format_bytes(disk.size);
    if (!disk.model.empty()) {
        text += ", " + disk.model;
    }
    if (!disk.serial.empty()) {
        text += ", serial " + disk.serial;
    }
    return text;
}

} // namespace

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
    std::string uses;
    for (const sysfs::Use& use : sysfs::uses_of(name)) {
        uses += (uses.empty() ? "" : ", ") + use.what;
    }
    if (!uses.empty()) {
        throw refusal(fmt::format("overwrite '{}': {}", name, uses),
                      "unmount it, swapoff, or stop what holds it, then try again");
    }
    if (facts.kind == DiskKind::file && open_in_qemu(request_.path)) {
        throw refusal(fmt::format("overwrite '{}': a virtual machine has it open", name),
                      "stop the virtual machine first");
    }
    // A device may have found another use since; an image is known by its inode and birth.
    const bool ours =
        facts.kind == DiskKind::file && (made_ || find_journal() || is_our_file(find_clone()));
    if (request_.existing == Existing::refuse && !ours) {
        throw refusal(fmt::format("overwrite '{}': it exists ({})", name, describe(facts)),
                      "check that it is the right one, then say --erase");
    }
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

std::optional<JournalHead> Target::find_clone() const {
    try {
        const std::optional<Manifest> clone = read_manifest(manifest());
        if (clone) {
            return JournalHead{.geometry = clone->geometry,
                               .source_name = clone->source_name,
                               .source_model = clone->source_model,
                               .source_serial = clone->source_serial,
                               .source_wwn = clone->source_wwn,
                               .target_inode = clone->target_inode,
                               .target_born = clone->target_born};
        }
    } catch (const Error&) {
        // Damaged: it vouches for nothing, and the target is like any other.
    }
    return std::nullopt;
}

bool Target::is_our_file(const std::optional<JournalHead>& clone) const {
    if (!clone || clone->target_inode == 0) {
        return false;
    }
    const JournalHead here = head_for({}, clone->geometry);
    return here.target_inode == clone->target_inode && here.target_born == clone->target_born;
}

JournalHead Target::head_for(const DiskFacts& source, const Geometry& geometry) const {
    const DiskFacts facts = read_disk_facts(request_.path);
    const bool is_file = facts.kind == DiskKind::file;
    const std::optional<Stamp> now = look(request_.path);
    return {.geometry = geometry,
            .source_name = source.name,
            .source_model = source.model,
            .source_serial = source.serial,
            .source_wwn = source.wwn,
            .target_inode = is_file && now ? now->inode : 0,
            .target_born = is_file ? time_of_birth(request_.path) : 0,
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
        throw refusal(
            fmt::format("copy '{}' to '{}': the source has {} bytes ({}), the target {} "
                        "({})",
                        source.name, target.name, source.size, format_bytes(source.size),
                        target.size, format_bytes(target.size)),
            fmt::format("choose a target of at least {} bytes; where all partitions end before "
                        "that, --partitions copies them",
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

namespace {

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
        check_fits(layout_.to_fit(source), read_disk_facts(request_.path));
        layout_.plan(source, read_disk_facts(request_.path), request_.notice);
    } else {
        layout_.plan(source, {.name = request_.path.string(), .size = source.size},
                     request_.notice);
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
    Opened opened{.disk = layout_.show(open_target(request_.path, request_.direct, content)),
                  .unwanted = layout_.unwanted()};
    opened_ = look(request_.path);
    seen_ = opened_;
    request_.notice(fmt::format("receiving '{}' ({}) into '{}'", source.name,
                                format_bytes(source.size), request_.path.string()));
    if (renewed_) {
        opened.mode = CopyMode::delta;
        opened.worth_reading = {{0, geometry.size}};
        request_.notice("it holds an earlier clone of it: both sides read their disks, and only "
                        "what differs travels");
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

void Target::find_earlier() {
    resumed_ = find_journal();
    const std::optional<JournalHead> clone = resumed_ ? std::nullopt : find_clone();
    const JournalHead* earlier = resumed_ ? &resumed_->head : clone ? &*clone : nullptr;
    if (earlier == nullptr) {
        return;
    }
    const bool of_this_source = same_source(*earlier, *head_);
    if (!of_this_source && request_.existing == Existing::refuse) {
        throw refusal(fmt::format("overwrite '{}': it is {} of '{}'", request_.path.string(),
                                  resumed_ ? "an unfinished copy" : "a clone",
                                  earlier->source_name),
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
    return layout_.show_medium(open_for_verify(request_.path));
}

void Target::keep(Manifest manifest_of_copy) {
    check_still_there();
    layout_.write_table(request_.path);
    layout_.describe(manifest_of_copy);
    // Where something has moved, the source's places are not the copy's: no map leads back there.
    const bool moved = manifest_of_copy.view && manifest_of_copy.view->moved();
    if (manifest_of_copy.unreadable.empty() || moved) {
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
    write_manifest(manifest(), manifest_of_copy);
    remove_file_durably(journal_path(request_.path, request_.state_dir));
    journal_.reset();
    made_ = false;
}

} // namespace coldspare::clone
