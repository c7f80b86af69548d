#include "clone/copy_file.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

TEST_CASE("a sparse file is copied with its holes") {
    const TemporaryDirectory directory;
    const fs::path from = directory / "from";
    const fs::path to = directory / "to";
    {
        const Fd fd = open_file(from, O_RDWR | O_CREAT);
        REQUIRE(::ftruncate(fd.get(), 64 << 20) == 0);
        write_at(fd.get(), 8 << 20, as_byte_span(std::string(5000, 'x')));
        write_at(fd.get(), (64 << 20) - 3, as_byte_span("end"));
    }
    copy_sparse_file(from, to, {});
    CHECK(read_file(from, 65 << 20) == read_file(to, 65 << 20));
    struct stat status {};
    REQUIRE(::stat(to.c_str(), &status) == 0);
    CHECK(status.st_blocks * 512 < 1 << 20);
    std::stop_source stop;
    stop.request_stop();
    CHECK(thrown_by([&] {
              copy_sparse_file(from, directory / "third", stop.get_token());
          }).status() == ExitStatus::interrupted);
    CHECK_FALSE(fs::exists(directory / "third"));
}

} // namespace coldspare::clone
