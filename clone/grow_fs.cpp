// The partition is reached through a loop device over a part of the disk: for images and disks
// alike, and whether or not the kernel knows the new partition table yet.
#include "clone/grow_fs.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "clone/disk_list.hpp"
#include "clone/nbd_uri.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <thread>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds quick{60};
constexpr std::chrono::hours slow{12}; ///< e2fsck of a large file system

/// A loop device over a part of a disk, detached in any case.
class Loop {
public:
    Loop(const fs::path& disk, Range range, const std::stop_token& stop)
        : device_(trim(run_checked({.argv = {"losetup", "--find", "--show", "--offset",
                                             std::to_string(range.offset), "--sizelimit",
                                             std::to_string(range.length), disk.string()},
                                    .deadline = quick},
                                   stop)
                           .out)) {}
    ~Loop() {
        try {
            static_cast<void>(
                run_process({.argv = {"losetup", "--detach", device_}, .deadline = quick}));
        } catch (const Error&) {
            // What it had is written: detaching only gives the number back.
        }
    }
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    [[nodiscard]] const std::string& device() const { return device_; }

    void flush() const {
        const Fd fd = open_file(device_, O_RDONLY);
        if (::fsync(fd.get()) != 0) {
            throw system_error(fmt::format("cannot flush '{}'", device_), errno);
        }
    }

private:
    std::string device_;
};

void grow_ext(const std::string& device, const std::stop_token& stop) {
    const ProcessResult check =
        run_process({.argv = {"e2fsck", "-f", "-p", device}, .deadline = slow}, stop);
    if (check.exit_code > 1) { // e2fsck(8): 1 means corrected
        throw Error(fmt::format("e2fsck says: {}", printable(trim(check.out + check.err))));
    }
    run_checked({.argv = {"resize2fs", device}, .deadline = slow}, stop);
}

/// A directory with a file system mounted on it, in a mount name space of this thread.
class Mount {
public:
    Mount(const std::string& device, const char* type, const char* options) {
        std::string pattern = (fs::temp_directory_path() / "coldspare-grow-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw system_error("cannot make a directory", errno);
        }
        point_ = pattern;
        constexpr unsigned long careful = MS_NOSUID | MS_NODEV | MS_NOEXEC;
        if (::mount(device.c_str(), point_.c_str(), type, careful, options) != 0) {
            const int reason = errno;
            ::rmdir(point_.c_str());
            throw system_error(fmt::format("cannot mount '{}'", device), reason);
        }
    }
    ~Mount() {
        ::umount2(point_.c_str(), 0);
        ::rmdir(point_.c_str());
    }
    Mount(const Mount&) = delete;
    Mount& operator=(const Mount&) = delete;
    [[nodiscard]] const std::string& point() const { return point_; }

private:
    std::string point_;
};

/// XFS grows only while it is mounted: where nobody else sees it.
void grow_xfs(const std::string& device, const std::stop_token& stop) {
    std::exception_ptr failure;
    std::thread apart([&] {
        try {
            if (::unshare(CLONE_NEWNS) != 0 ||
                ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
                throw system_error("cannot make a mount name space", errno, "run as root");
            }
            const Mount mounted(device, "xfs", "nouuid"); // the original may be mounted here
            run_checked({.argv = {"xfs_growfs", "-d", mounted.point()}, .deadline = slow}, stop);
        } catch (...) {
            failure = std::current_exception();
        }
    });
    apart.join();
    if (failure) {
        std::rethrow_exception(failure);
    }
}

std::string type_of(const fs::path& disk, Range range) {
    if (is_nbd_uri(disk)) {
        return "an NBD export";
    }
    for (const PartitionEntry& entry : inspect_disk(disk).partitions) {
        if (entry.start == range.offset) {
            return entry.content.type;
        }
    }
    return {};
}

bool is_ext(std::string_view type) {
    return type == "ext2" || type == "ext3" || type == "ext4";
}

} // namespace

bool can_be_grown(const fs::path& disk, Range range) {
    const std::string type = type_of(disk, range);
    return is_ext(type) || type == "xfs";
}

std::string grow_file_system(const fs::path& disk, unsigned number, Range range,
                             std::stop_token stop) {
    const std::string type = type_of(disk, range);
    const bool ext = is_ext(type);
    if (!ext && type != "xfs") {
        return fmt::format("partition {} has grown, what is in it ({}) has not: coldspare grows "
                           "ext2, ext3, ext4 and XFS",
                           number, type.empty() ? "nothing that is known" : type);
    }
    try {
        const Loop loop(disk, range, stop);
        if (ext) {
            grow_ext(loop.device(), stop);
        } else {
            grow_xfs(loop.device(), stop);
        }
        loop.flush();
    } catch (const Error& error) {
        if (error.status() == ExitStatus::interrupted) {
            throw;
        }
        throw Error(fmt::format("growing the {} file system of partition {} of '{}': {}", type,
                                number, disk.string(), error.message()),
                    "the copy is whole, and its partition has grown: grow the file system by hand, "
                    "or copy again");
    }
    return fmt::format("the {} file system of partition {} has grown to {}", type, number,
                       format_bytes(range.length));
}

} // namespace coldspare::clone
