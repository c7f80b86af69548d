#include "clone/open_files.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

/// Whether the link in /proc/PID/fd leads to the file of `wanted`. What it is called there is asked
/// first: to look at every open file could wait for a dead server for ever.
bool leads_to(const fs::path& link, const struct stat& wanted, const fs::path& name) {
    std::error_code none;
    const fs::path target = fs::read_symlink(link, none);
    const bool device = S_ISBLK(wanted.st_mode);
    if (none || !(device ? target.string().starts_with("/dev/") : target == name)) {
        return false;
    }
    struct stat status {};
    if (::stat(link.c_str(), &status) != 0) {
        return false;
    }
    return device ? S_ISBLK(status.st_mode) && status.st_rdev == wanted.st_rdev
                  : status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino;
}

} // namespace

std::vector<OpenFile> programs_with(const fs::path& path) {
    std::vector<OpenFile> found;
    struct stat wanted {};
    std::error_code none;
    const fs::path name = fs::canonical(path, none);
    if (none || ::stat(path.c_str(), &wanted) != 0) {
        return found;
    }
    for (const fs::directory_entry& process : fs::directory_iterator("/proc", none)) {
        const std::string number = process.path().filename().string();
        if (number.find_first_not_of("0123456789") != std::string::npos) {
            continue;
        }
        const auto pid = static_cast<pid_t>(std::stol(number));
        std::error_code gone;
        for (const fs::directory_entry& file :
             fs::directory_iterator(process.path() / "fd", gone)) {
            if (pid != ::getpid() && leads_to(file.path(), wanted, name)) {
                try {
                    const std::string program = read_file(process.path() / "comm", 4096);
                    found.push_back({printable(trim(program)), pid});
                } catch (const Error&) {
                    // It has ended.
                }
                break;
            }
        }
    }
    return found;
}

bool open_in_qemu(const fs::path& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 100;
    lock.l_len = 200;
    return fd && ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool is_claimed(const fs::path& device) {
    // Somebody else may just be asking the same.
    constexpr int attempts = 3;
    for (int i = 0; i < attempts; ++i) {
        const Fd fd(::open(device.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
        if (fd || errno != EBUSY) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

bool is_locked(const fs::path& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

} // namespace coldspare::clone
