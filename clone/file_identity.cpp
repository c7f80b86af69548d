#include "clone/file_identity.hpp"

#include "base/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace coldspare::clone {

FileIdentity identity_of(const std::filesystem::path& path) {
    struct statx status {};
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0) {
        return {};
    }
    FileIdentity identity{.inode = status.stx_ino};
    if ((status.stx_mask & STATX_BTIME) != 0) {
        identity.born = static_cast<std::uint64_t>(status.stx_btime.tv_sec) * 1'000'000'000 +
                        status.stx_btime.tv_nsec;
    }
    return identity;
}

/// QEMU marks an image that it has open with OFD locks on bytes 100 to 299 (block/file-posix.c).
bool open_in_qemu(const std::filesystem::path& path) {
    const Fd fd = open_file(path, O_RDONLY);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 100;
    lock.l_len = 200;
    return ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

} // namespace coldspare::clone
