#include "clone/secret_file.hpp"

#include "base/error.hpp"
#include "base/files.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

namespace coldspare::clone {

std::string read_secret_file(const std::filesystem::path& path, std::size_t limit,
                             std::string_view what) {
    struct stat status {};
    // A pipe from a shell or a device is not looked at: nobody finds it later.
    if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        (status.st_mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)) != 0) {
        throw usage_error(
            fmt::format("others can read {} in '{}'", what, path.string()),
            fmt::format("chmod 600 '{}'; if they may have done so, make a new one", path.string()));
    }
    return read_file(path, limit);
}

} // namespace coldspare::clone
