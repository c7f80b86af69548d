#include "clone/target.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/manifest.hpp"
#include "clone/sysfs.hpp"

#include <fmt/format.h>

#include <fcntl.h>

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
    if (made_) {
        std::error_code none;
        fs::remove(request_.path, none);
    }
}

fs::path Target::manifest() const {
    return manifest_path(request_.path, request_.state_dir);
}

void Target::check() const {
    const std::string name = request_.path.string();
    if (!fs::exists(request_.path)) {
        const fs::path parent =
            request_.path.has_parent_path() ? request_.path.parent_path() : fs::path(".");
        if (!fs::is_directory(parent)) {
            throw usage_error(fmt::format("cannot create '{}': there is no directory '{}'", name,
                                          parent.string()),
                              "make the directory, or choose another target");
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
    if (request_.existing == Existing::refuse) {
        throw refusal(fmt::format("overwrite '{}': it exists ({})", name, describe(facts)),
                      "check that it is the right one, then say --erase");
    }
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

std::unique_ptr<Disk> Target::open(const DiskFacts& source) {
    check();
    if (!fs::exists(request_.path)) {
        // An older image that somebody removed may have left its manifest.
        remove_file_durably(manifest());
        create_image(request_.path, source.size);
        made_ = true;
        return open_target(request_.path, request_.direct, TargetContent::zeros);
    }
    check_fits(source, read_disk_facts(request_.path));
    std::unique_ptr<Disk> disk =
        open_target(request_.path, request_.direct, TargetContent::unknown);
    remove_file_durably(manifest());
    return disk;
}

} // namespace coldspare::clone
