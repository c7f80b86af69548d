#include "clone/open_files.hpp"

#include "base/files.hpp"
#include "tests/support/temporary_directory.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>

namespace coldspare::clone {

TEST_CASE("a lock of another descriptor is seen, and one's own program is not named") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "image";
    write_file_atomically(path, "x");
    CHECK_FALSE(is_locked(path));
    const Fd holder = open_file(path, O_RDWR);
    REQUIRE(::flock(holder.get(), LOCK_EX) == 0);
    CHECK(is_locked(path));
    CHECK(programs_with(path).empty());
}

} // namespace coldspare::clone
