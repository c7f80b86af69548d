#include "fixup/overlay.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <utility>

namespace coldspare::fixup {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds tool_deadline{120};

struct stat status_of(int fd, const fs::path& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
        throw system_error(fmt::format("cannot look at '{}'", path.string()), errno);
    }
    return status;
}

FileStamp stamp_from(const struct stat& status) {
    constexpr std::int64_t second = 1'000'000'000;
    return {.size = static_cast<std::uint64_t>(status.st_size),
            .modified_ns = status.st_mtim.tv_sec * second + status.st_mtim.tv_nsec};
}

/// A path that qemu-img takes for a path, whatever is in it.
std::string qemu_path(const fs::path& path) {
    return fs::absolute(path).string();
}

ProcessResult qemu_img(std::vector<std::string> words, std::stop_token stop) {
    words.insert(words.begin(), "qemu-img");
    return run_process({.argv = std::move(words), .deadline = tool_deadline}, stop);
}

[[nodiscard]] Error tool_error(const std::string& what, const ProcessResult& result) {
    return Error(fmt::format("{}: {}", what, printable(trim(result.err))));
}

/// 'Failed to get "write" lock', 'Failed to get shared "write" lock': a path may hold a "lock" too.
bool is_lock_complaint(const ProcessResult& result) {
    return result.err.find("Failed to get") != std::string::npos;
}

/// Formats that a clone is often turned into by hand; all of them have their name at the start.
std::string_view format_of(std::string_view head) {
    using namespace std::string_view_literals;
    if (head.starts_with("QFI\xfb"sv)) {
        return "qcow2";
    }
    if (head.starts_with("KDMV"sv) || head.starts_with("# Disk DescriptorFile"sv)) {
        return "vmdk";
    }
    if (head.starts_with("vhdxfile"sv)) {
        return "vhdx";
    }
    return "raw";
}

void check_is_raw(int fd, const fs::path& path) {
    std::array<std::byte, 64> head{};
    const std::size_t got = read_at(fd, 0, head);
    const std::string_view format = format_of({reinterpret_cast<const char*>(head.data()), got});
    if (format != "raw") {
        throw refusal(fmt::format("fix '{}': it is a {} image, and the base of a fixup is raw",
                                  path.string(), format),
                      format == "qcow2" ? "is it the overlay of an earlier fixup? name the clone "
                                          "itself, or convert it with "
                                          "'qemu-img convert -O raw'"
                                        : "convert it with 'qemu-img convert -O raw'");
    }
}

} // namespace

FileStamp stamp_of(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        throw system_error(fmt::format("cannot look at '{}'", path.string()), errno);
    }
    return stamp_from(status);
}

void check_not_in_use(const fs::path& image, std::stop_token stop) {
    const ProcessResult result =
        qemu_img({"info", "--output=json", qemu_path(image)}, std::move(stop));
    if (result.exit_code == 0) {
        return;
    }
    if (is_lock_complaint(result)) {
        throw refusal(fmt::format("touch '{}': a virtual machine has it open", image.string()),
                      "shut the virtual machine down first");
    }
    throw tool_error(fmt::format("cannot look at '{}'", image.string()), result);
}

BaseImage::BaseImage(fs::path path, std::stop_token stop, BaseKind kind)
    : path_(std::move(path)), fd_(open_file(path_, O_RDONLY)) {
    const struct stat status = status_of(fd_.get(), path_);
    if (kind == BaseKind::file_or_device && S_ISBLK(status.st_mode)) {
        // O_EXCL on a device: not while it is mounted, or part of something that is in use.
        alone_ = Fd(::open(path_.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
        if (!alone_) {
            throw refusal(fmt::format("fix '{}': {}", path_.string(),
                                      errno == EBUSY ? "it is mounted, or part of something in use"
                                                     : std::strerror(errno)),
                          "'coldspare disks' shows what uses it");
        }
    } else if (!S_ISREG(status.st_mode)) {
        throw refusal(fmt::format("fix '{}': it is not an image file", path_.string()),
                      "name the raw image, or the block device, that holds the clone");
    }
    stamp_ = stamp_from(status);
    if (::flock(fd_.get(), LOCK_SH | LOCK_NB) != 0) {
        throw Error(fmt::format("'{}' is locked: another run is writing it", path_.string()),
                    "wait until the clone is finished", ExitStatus::locked);
    }
    check_is_raw(fd_.get(), path_);
    // A raw image is probed as raw: its first sector is the server's, and could say anything.
    const ProcessResult result =
        qemu_img({"info", "--output=json", "-f", "raw", qemu_path(path_)}, std::move(stop));
    if (result.exit_code != 0 && is_lock_complaint(result)) {
        throw refusal(
            fmt::format("fix '{}': a virtual machine has it open for writing", path_.string()),
            "shut the virtual machine down; a standby runs from the overlay, never from "
            "the clone itself");
    }
    if (result.exit_code != 0) {
        throw tool_error(fmt::format("cannot look at '{}'", path_.string()), result);
    }
}

void BaseImage::check_untouched() const {
    if (stamp_from(status_of(fd_.get(), path_)) != stamp_ || stamp_of(path_) != stamp_) {
        throw Error(
            fmt::format("'{}' changed while it was being fixed", path_.string()),
            "nothing may write a clone but 'coldspare receive'; clone again, then run fixup "
            "again");
    }
}

std::string backing_name(const fs::path& overlay, const fs::path& base) {
    const fs::path overlay_directory = fs::weakly_canonical(fs::absolute(overlay).parent_path());
    const fs::path base_path = fs::weakly_canonical(fs::absolute(base).parent_path());
    const std::string name = base.filename().string();
    // qemu takes "a:b" for a protocol.
    if (overlay_directory == base_path && name.find(':') == std::string::npos) {
        return name;
    }
    return (base_path / name).string();
}

NewOverlay::NewOverlay(fs::path path, const BaseImage& base, std::stop_token stop)
    : path_(std::move(path)), partial_(path_.string() + ".partial") {
    lock_ = lock_new_file();
    try {
        create(base, std::move(stop));
    } catch (...) {
        ::unlink(partial_.c_str());
        throw;
    }
}

/// What a killed run left is not written to: its appliance may need a moment to end, and would
/// still have it open. A new file takes its place, under the lock of the old one.
Fd NewOverlay::lock_new_file() const {
    const auto lock = [this](int flags) {
        Fd file(::open(partial_.c_str(), flags | O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (!file && errno != EEXIST) {
            throw system_error(fmt::format("cannot create '{}'", partial_.string()), errno);
        }
        struct stat named {};
        // The run that held the lock may have renamed the file away in between.
        if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0 ||
            ::stat(partial_.c_str(), &named) != 0 ||
            named.st_ino != status_of(file.get(), partial_).st_ino) {
            throw Error(fmt::format("another run is building '{}'", path_.string()),
                        "wait until it has ended", ExitStatus::locked);
        }
        return file;
    };
    const Fd old = lock(0);
    ::unlink(partial_.c_str());
    return lock(O_EXCL);
}

NewOverlay::~NewOverlay() {
    if (state_ != State::kept) {
        ::unlink((state_ == State::partial ? partial_ : path_).c_str());
    }
}

void NewOverlay::create(const BaseImage& base, std::stop_token stop) const {
    const ProcessResult result = qemu_img({"create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                                           backing_name(path_, base.path()), qemu_path(partial_)},
                                          std::move(stop));
    if (result.exit_code != 0) {
        throw tool_error(fmt::format("cannot create '{}'", partial_.string()), result);
    }
}

void NewOverlay::check(std::stop_token stop) const {
    const ProcessResult result =
        qemu_img({"check", "-q", "-f", "qcow2", qemu_path(partial_)}, std::move(stop));
    if (result.exit_code != 0) {
        throw tool_error(fmt::format("'{}' does not pass 'qemu-img check'", partial_.string()),
                         result);
    }
    if (::fsync(lock_.get()) != 0) {
        throw system_error(fmt::format("cannot make '{}' durable", partial_.string()), errno);
    }
}

void NewOverlay::install() {
    if (::rename(partial_.c_str(), path_.c_str()) != 0) {
        throw system_error(
            fmt::format("cannot rename '{}' to '{}'", partial_.string(), path_.string()), errno);
    }
    state_ = State::installed;
    sync_parent_directory(path_);
}

} // namespace coldspare::fixup
