#include "base/files.hpp"

#include "base/error.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <sys/stat.h>
#include <vector>

namespace coldspare {

namespace {

std::size_t entries_of(const std::filesystem::path& directory) {
    const std::filesystem::directory_iterator begin(directory);
    return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

mode_t mode_of(const std::filesystem::path& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

} // namespace

TEST_CASE("opening a file that is not there names it") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "missing";
    CHECK_THROWS_WITH_AS(
        static_cast<void>(open_file(path, O_RDONLY)),
        fmt::format("cannot open '{}': No such file or directory", path.string()).c_str(), Error);
}

TEST_CASE("an opened file is closed in the programs that are started") {
    const Fd fd = open_file("/dev/null", O_RDONLY);
    CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a file of exactly the limit is read whole") {
    const TemporaryDirectory directory;
    const std::string content(100'000, 'x');
    write_file_atomically(directory / "file", content);
    CHECK(read_file(directory / "file", content.size()) == content);
}

TEST_CASE("a file of one byte more than the limit is refused") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "file";
    write_file_atomically(path, "12345");
    CHECK_THROWS_WITH_AS(
        static_cast<void>(read_file(path, 4)),
        fmt::format("'{}' is larger than the 4 bytes that are read of such a file", path.string())
            .c_str(),
        Error);
}

TEST_CASE("an endless file is refused instead of filling the memory") {
    CHECK(contains(thrown_by([] { static_cast<void>(read_file("/dev/zero", 1 << 20)); }).message(),
                   "'/dev/zero' is larger than"));
}

TEST_CASE("a file that has no size in its directory is read whole") {
    CHECK(contains(read_file("/proc/self/status", 1 << 20), "Name:"));
}

TEST_CASE("reading a directory as a file says why not") {
    const TemporaryDirectory directory;
    CHECK_THROWS_WITH_AS(
        static_cast<void>(read_file(directory.path(), 100)),
        fmt::format("cannot read '{}': Is a directory", directory.path().string()).c_str(), Error);
}

TEST_CASE("reading at an offset stops at the end of the file") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "file", "0123456789");
    const Fd fd = open_file(directory / "file", O_RDONLY);
    std::array<std::byte, 6> bytes{};
    CHECK(read_at(fd.get(), 2, bytes) == 6);
    CHECK(bytes[0] == std::byte{'2'});
    CHECK(read_at(fd.get(), 7, bytes) == 3);
    CHECK(read_at(fd.get(), 10, bytes) == 0);
}

TEST_CASE("bytes are written at their offset and nowhere else") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "file", "..........");
    const Fd fd = open_file(directory / "file", O_RDWR);
    write_at(fd.get(), 3, as_byte_span("abc"));
    CHECK(read_file(directory / "file", 100) == "...abc....");
}

TEST_CASE("a full medium is an error of writing") {
    const Fd fd = open_file("/dev/full", O_WRONLY);
    CHECK_THROWS_WITH_AS(write_at(fd.get(), 0, as_byte_span("x")),
                         "cannot write: No space left on device", Error);
    CHECK_THROWS_WITH_AS(write_all(fd.get(), as_byte_span("x")),
                         "cannot write: No space left on device", Error);
}

TEST_CASE("an atomic write replaces the content and the mode") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "file";
    write_file_atomically(path, "a longer old content", 0644);
    write_file_atomically(path, "new", 0600);
    CHECK(read_file(path, 100) == "new");
    CHECK(mode_of(path) == 0600);
}

TEST_CASE("pieces are written one after the other") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "file";
    const std::array<std::string_view, 3> pieces{"one", "", " two"};
    write_file_atomically(path, pieces);
    CHECK(read_file(path, 100) == "one two");
}

TEST_CASE("an atomic write never shows a reader half a file") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "file";
    write_file_atomically(path, "old");
    const Fd reader = open_file(path, O_RDONLY);
    write_file_atomically(path, "new content");
    std::array<std::byte, 32> bytes{};
    CHECK(read_at(reader.get(), 0, bytes) == 3);
}

TEST_CASE("an atomic write leaves nothing else in the directory") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "file", "content");
    CHECK(entries_of(directory.path()) == 1);
}

TEST_CASE("an atomic write that cannot be renamed leaves nothing behind") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "file";
    std::filesystem::create_directory(path);
    CHECK_THROWS_WITH_AS(
        write_file_atomically(path, "content"),
        fmt::format("writing '{}': cannot rename into place: Is a directory", path.string())
            .c_str(),
        Error);
    CHECK(entries_of(directory.path()) == 1);
}

TEST_CASE("an atomic write into a directory that is not there names the file") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory.path() / "missing" / "file";
    CHECK_THROWS_WITH_AS(
        write_file_atomically(path, "content"),
        fmt::format("cannot create a file beside '{}': No such file or directory", path.string())
            .c_str(),
        Error);
}

TEST_CASE("removing says whether there was a file") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "file", "content");
    CHECK(remove_file_durably(directory / "file"));
    CHECK_FALSE(remove_file_durably(directory / "file"));
    CHECK(entries_of(directory.path()) == 0);
}

TEST_CASE("removing what cannot be removed is an error") {
    const TemporaryDirectory directory;
    const Error error = thrown_by([&] { remove_file_durably(directory.path()); });
    CHECK(contains(error.message(), "cannot remove '" + directory.path().string() + "'"));
}

TEST_CASE("a path without a directory is one of this directory") {
    CHECK_NOTHROW(sync_parent_directory("some-name"));
}

TEST_CASE("a descriptor that was moved from is not closed twice") {
    Fd one = open_file("/dev/null", O_RDONLY);
    const int number = one.get();
    Fd other = std::move(one);
    CHECK(other.get() == number);
    other = Fd();
    CHECK(::fcntl(number, F_GETFD) == -1);
}

} // namespace coldspare
