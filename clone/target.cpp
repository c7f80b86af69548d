#include "clone/target.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/file_identity.hpp"
#include "clone/manifest.hpp"
#include "clone/map_file.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/open_files.hpp"
#include "clone/seal.hpp"
#include "clone/uses.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

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

fs::path Target::inventory() const {
    return inventory_path(request_.path, request_.state_dir);
}

DiskFacts Target::facts() const {
    return export_ ? export_->facts() : read_disk_facts(request_.path);
}

/// An export is there or cannot be connected to, and nobody can tell who else uses it. What says
/// that it is ours is the clone on it: the URI may be another disk's by now.
void Target::check_export() {
    if (!export_) {
        export_ =
            std::make_unique<ExportTarget>(request_.path, request_.direct, request_.state_dir);
    }
    if (request_.existing == Existing::refuse && !export_is_ours_) {
        export_is_ours_ = export_->holds_clone_of(manifest());
        if (!export_is_ours_) {
            throw refusal(fmt::format("overwrite '{}': it exists ({})", request_.path.string(),
                                      summary_of(DiskEntry{.facts = facts()})),
                          "check that it is the right one, then say --erase");
        }
    }
}

void Target::check() {
    if (is_nbd_uri(request_.path)) {
        check_export();
        return;
    }
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
    const DiskFacts facts = this->facts();
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

JournalHead Target::head_for(const DiskFacts& source, const Geometry& geometry) const {
    const DiskFacts facts = this->facts();
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

Destination::Opened Target::open(const DiskFacts& source, const Geometry& geometry) {
    if (request_.make_ready) {
        std::exchange(request_.make_ready, nullptr)(source);
        checked_ = false;
    }
    check();
    journal_.reset();
    resumed_.reset();
    renewed_ = false;
    TargetContent content = TargetContent::unknown;
    const bool existed = seen_ || export_;
    if (existed) {
        check_fits(layout_.to_fit(source), facts());
        layout_.plan(source, facts(), request_.notice);
    } else {
        layout_.plan(source, {.name = request_.path.string(), .size = source.size},
                     request_.notice);
        create_image(request_.path, source.size);
        made_ = true;
        content = TargetContent::zeros;
        opened_ = look(request_.path);
        // The new file may lie on the source itself.
        check_fits(source, facts());
    }
    head_ = head_for(source, geometry);
    if (existed) {
        find_earlier();
    } else {
        // Its turn may come hours later: an interrupted run is to know it again. What an older
        // image of this name has left says nothing.
        remove_file_durably(manifest());
        journal_ = Journal::create(journal_path(request_.path, request_.state_dir), *head_);
    }
    Opened opened{.disk =
                      layout_.show(export_ ? export_->view()
                                           : open_target(request_.path, request_.direct, content)),
                  .unwanted = layout_.unwanted()};
    opened_ = look(request_.path);
    seen_ = opened_;
    request_.notice(fmt::format("receiving '{}' ({}) into '{}'", source.name,
                                format_bytes(source.size), request_.path.string()));
    if (renewed_) {
        opened.mode = CopyMode::delta;
        opened.worth_reading = {{0, geometry.size}};
        opened.full_copy_ms = full_copy_ms_;
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
    remove_file_durably(inventory());
}

void Target::record(std::span<const Range> durable) {
    journal_->append(durable);
    made_ = false;
    recorded_ = true;
}

std::unique_ptr<Disk> Target::open_medium() {
    return layout_.show_medium(export_ ? export_->view() : open_for_verify(request_.path));
}

void Target::keep(Manifest manifest_of_copy) {
    check_still_there();
    layout_.write_table(
        [this] { return export_ ? export_->view() : open_for_verify(request_.path); });
    layout_.describe(manifest_of_copy, request_.path);
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
    manifest_of_copy.seal = seal_of(request_.path);
    if (!inventory_.empty()) {
        make_parent_directories(inventory(), "choose another with --state-dir");
        write_file_atomically(inventory(), inventory_ + "\n", 0600);
    }
    write_manifest(manifest(), manifest_of_copy);
    remove_file_durably(journal_path(request_.path, request_.state_dir));
    journal_.reset();
    made_ = false;
}

} // namespace coldspare::clone
