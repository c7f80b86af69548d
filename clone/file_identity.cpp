#include "clone/file_identity.hpp"

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

} // namespace coldspare::clone
