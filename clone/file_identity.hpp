#pragma once

#include <cstdint>
#include <filesystem>

namespace coldspare::clone {

/// Which file it is: not its name, which another one may bear tomorrow.
struct FileIdentity {
    std::uint64_t inode = 0; ///< 0: no such file
    /// Nanoseconds since 1970, or 0 where the file system does not tell (statx(2)). A file that was
    /// removed often leaves its inode number to the next one.
    std::uint64_t born = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

[[nodiscard]] FileIdentity identity_of(const std::filesystem::path& path);

} // namespace coldspare::clone
