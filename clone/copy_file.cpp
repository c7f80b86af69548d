#include "clone/copy_file.hpp"

#include "base/error.hpp"
#include "base/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

/// Removes what was begun, unless it is kept.
class NewFile {
public:
    explicit NewFile(const fs::path& path)
        : path_(path), fd_(open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) {}
    ~NewFile() {
        if (!kept_) {
            ::unlink(path_.c_str());
        }
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    [[nodiscard]] int fd() const { return fd_.get(); }

    /// Its content and its name are durable.
    void keep() {
        if (::fsync(fd_.get()) != 0) {
            throw system_error(fmt::format("cannot write '{}' to its disk", path_.string()), errno);
        }
        sync_parent_directory(path_);
        kept_ = true;
    }

private:
    fs::path path_;
    Fd fd_;
    bool kept_ = false;
};

/// lseek(2) to the next data or hole; the end of the file where there is none.
off_t seek(int fd, off_t from, int whence, off_t size, const fs::path& path) {
    const off_t found = ::lseek(fd, from, whence);
    if (found < 0 && errno != ENXIO) {
        throw system_error(fmt::format("cannot find the holes of '{}'", path.string()), errno);
    }
    return found < 0 ? size : found;
}

} // namespace

bool reflink_file(const fs::path& from, const fs::path& to) {
    const Fd source = open_file(from, O_RDONLY);
    NewFile file(to);
    if (::ioctl(file.fd(), FICLONE, source.get()) != 0) {
        return false; // EOPNOTSUPP, EXDEV, EINVAL, ENOTTY: by file system and kernel
    }
    file.keep();
    return true;
}

void copy_sparse_file(const fs::path& from, const fs::path& to, const std::stop_token& stop) {
    constexpr off_t at_once = 64 << 20;
    const Fd source = open_file(from, O_RDONLY);
    NewFile file(to);
    const off_t size = ::lseek(source.get(), 0, SEEK_END);
    if (size < 0 || ::ftruncate(file.fd(), size) != 0) {
        throw system_error(fmt::format("cannot copy '{}' to '{}'", from.string(), to.string()),
                           errno);
    }
    off_t at = 0;
    while ((at = seek(source.get(), at, SEEK_DATA, size, from)) < size) {
        const off_t end = seek(source.get(), at, SEEK_HOLE, size, from);
        off_t out = at;
        while (at < end) {
            if (stop.stop_requested()) {
                throw interrupted();
            }
            const ssize_t count =
                ::copy_file_range(source.get(), &at, file.fd(), &out,
                                  static_cast<std::size_t>(std::min<off_t>(end - at, at_once)), 0);
            if (count == 0 || (count < 0 && errno != EINTR)) {
                throw system_error(
                    fmt::format("cannot copy '{}' to '{}'", from.string(), to.string()),
                    count == 0 ? EIO : errno);
            }
        }
    }
    file.keep();
}

} // namespace coldspare::clone
