#include "clone/disk.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <fcntl.h>
#include <string>
#include <sys/file.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

std::unique_ptr<Disk> dirty_image(const fs::path& path, std::uint64_t size, DirectIo direct) {
    fs::remove(path);
    create_image(path, size);
    const Fd fd = open_file(path, O_WRONLY);
    const std::vector<std::byte> dirt(1 << 20, conformance::dirt);
    for (std::uint64_t at = 0; at < size; at += dirt.size()) {
        const auto length =
            static_cast<std::size_t>(std::min<std::uint64_t>(size - at, dirt.size()));
        write_at(fd.get(), at, std::span(dirt).first(length));
    }
    return open_target(path, direct, TargetContent::unknown);
}

bool direct_is_possible(const fs::path& directory) {
    const fs::path path = directory / "probe";
    create_image(path, 4096);
    const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    return static_cast<bool>(fd);
}

} // namespace

TEST_CASE("an image file through the page cache behaves like a disk") {
    const TemporaryDirectory directory;
    require_disk_conformance(
        [&](std::uint64_t size) { return dirty_image(directory / "image", size, DirectIo::off); });
}

TEST_CASE("an image file past the page cache behaves like a disk") {
    const TemporaryDirectory directory;
    const DirectIo direct =
        direct_is_possible(directory.path()) ? DirectIo::on : DirectIo::automatic;
    require_disk_conformance(
        [&](std::uint64_t size) { return dirty_image(directory / "image", size, direct); });
}

TEST_CASE("an image that this run made is zero without being written") {
    const TemporaryDirectory directory;
    create_image(directory / "image", 1 << 20);
    const std::unique_ptr<Disk> disk =
        open_target(directory / "image", DirectIo::automatic, TargetContent::zeros);
    disk->zero(0, 1 << 20);
    CHECK(conformance::only(conformance::read_back(*disk, 0, 1 << 20), std::byte{0}));
}

TEST_CASE("a source reads what its file has") {
    const TemporaryDirectory directory;
    std::string content(100'003, '\0');
    fill_pattern(std::as_writable_bytes(std::span(content)), 0);
    write_file_atomically(directory / "image", content);
    for (const DirectIo direct : {DirectIo::automatic, DirectIo::off}) {
        const std::unique_ptr<Disk> disk = open_source(directory / "image", direct);
        CHECK(disk->facts().size == content.size());
        CHECK(disk->facts().kind == DiskKind::file);
        const std::vector<std::byte> bytes = conformance::read_back(*disk, 0, content.size());
        CHECK(same_bytes(bytes, as_byte_span(content)));
    }
}

TEST_CASE("a source that was cut off has no hole at its end") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    create_image(path, 1 << 20);
    const std::unique_ptr<Disk> disk = open_source(path, DirectIo::automatic);
    const Extent extent = disk->extent_at(65536);
    CHECK(extent.length <= (1 << 20) - 65536);
    fs::resize_file(path, 65536);
    for (const std::uint64_t offset : {65536U, 524288U}) {
        CHECK_FALSE(disk->extent_at(offset).zero);
    }
}

TEST_CASE("a source cannot be written to") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "image", std::string(65536, 'x'));
    const std::unique_ptr<Disk> disk = open_source(directory / "image", DirectIo::automatic);
    AlignedBuffer buffer(4096);
    CHECK_THROWS_AS(disk->write(0, buffer.span()), Error);
    CHECK_THROWS_AS(disk->zero(0, 4096), Error);
    CHECK(read_file(directory / "image", 100'000) == std::string(65536, 'x'));
}

TEST_CASE("an empty source is refused") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, "");
    CHECK_THROWS_WITH_AS(
        static_cast<void>(open_source(path, DirectIo::automatic)),
        fmt::format("'{}' is empty: there is nothing to copy", path.string()).c_str(), Error);
}

TEST_CASE("what is neither a device nor a file is wrong usage") {
    for (const char* path : {"/", "/dev/null"}) {
        CAPTURE(path);
        const Error error = thrown_by([&] { static_cast<void>(read_disk_facts(path)); });
        CHECK(error.message() ==
              fmt::format("'{}' is neither a block device nor an image file", path));
        CHECK(error.status() == ExitStatus::usage);
    }
}

TEST_CASE("a disk that is not there is named") {
    CHECK_THROWS_WITH_AS(static_cast<void>(read_disk_facts("/nowhere/disk")),
                         "cannot look at '/nowhere/disk': No such file or directory", Error);
}

TEST_CASE("the sector size of an image is known from the place of its GPT header") {
    const TemporaryDirectory directory;
    for (const std::uint32_t sector : {512U, 4096U}) {
        CAPTURE(sector);
        std::string content(16384, '\0');
        content.replace(sector, 8, "EFI PART");
        write_file_atomically(directory / "image", content);
        CHECK(read_disk_facts(directory / "image").logical_sector == sector);
    }
    write_file_atomically(directory / "image", std::string(16384, '\0'));
    CHECK(read_disk_facts(directory / "image").logical_sector == 0);
}

TEST_CASE("a target that another run holds is locked with status 5") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    create_image(path, 4096);
    const std::unique_ptr<Disk> first =
        open_target(path, DirectIo::automatic, TargetContent::unknown);
    const Error error = thrown_by(
        [&] { static_cast<void>(open_target(path, DirectIo::automatic, TargetContent::unknown)); });
    CHECK(error.message() == fmt::format("'{}' is locked by another run", path.string()));
    CHECK(error.status() == ExitStatus::locked);
}

TEST_CASE("a target that was let go can be opened again") {
    const TemporaryDirectory directory;
    create_image(directory / "image", 4096);
    static_cast<void>(
        open_target(directory / "image", DirectIo::automatic, TargetContent::unknown));
    CHECK_NOTHROW(static_cast<void>(
        open_target(directory / "image", DirectIo::automatic, TargetContent::unknown)));
}

TEST_CASE("an image is made in its size and never over another file") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    create_image(path, 123'457);
    CHECK(fs::file_size(path) == 123'457);
    write_file_atomically(path, "precious");
    CHECK_THROWS_WITH_AS(create_image(path, 10),
                         fmt::format("cannot open '{}': File exists", path.string()).c_str(),
                         Error);
    CHECK(read_file(path, 100) == "precious");
}

TEST_CASE("an image that is too large for its file system leaves nothing behind") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    const Error error = thrown_by([&] { create_image(path, std::uint64_t{1} << 63); });
    CHECK(contains(error.message(), "cannot make '" + path.string() + "' 8.0 EiB long: "));
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("two names of one file share their bytes") {
    const TemporaryDirectory directory;
    create_image(directory / "image", 4096);
    fs::create_hard_link(directory / "image", directory / "hard");
    fs::create_symlink("image", directory / "soft");
    create_image(directory / "other", 4096);
    const DiskFacts image = read_disk_facts(directory / "image");
    CHECK(overlap(image, read_disk_facts(directory / "hard")));
    CHECK(overlap(image, read_disk_facts(directory / "soft")));
    CHECK_FALSE(overlap(image, read_disk_facts(directory / "other")));
}

TEST_CASE("a disk overlaps with what lies on it and with what it lies on") {
    const auto facts = [](std::vector<std::string> origins) {
        DiskFacts disk;
        disk.origins = std::move(origins);
        return disk;
    };
    const DiskFacts whole = facts({"sda", "sda1", "sda2"});
    const DiskFacts part = facts({"sda1", "sda"});
    const DiskFacts other_part = facts({"sda2", "sda"});
    const DiskFacts loop = facts({"loop0", "file"});
    const DiskFacts file = facts({"file"});
    CHECK(overlap(whole, part));
    CHECK(overlap(part, whole));
    CHECK(overlap(loop, file));
    CHECK(overlap(file, loop));
    CHECK_FALSE(overlap(part, other_part));
    CHECK(overlap(facts({"loop0", "file:1", "sda1"}), facts({"loop1", "file:1", "sda1"})));
    CHECK_FALSE(overlap(facts({"loop0", "file:1", "sda1"}), facts({"loop1", "file:2", "sda1"})));
    CHECK(overlap(whole, facts({"file:1", "dm-0", "sda2", "sda"})));
    CHECK_FALSE(overlap(facts({"file:1", "sda1", "sda"}), facts({"file:2", "sda1", "sda"})));
    CHECK_FALSE(overlap(whole, loop));
    CHECK_FALSE(overlap(facts({}), facts({})));
}

TEST_CASE("reading past the end of an image says where") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    create_image(path, 8192);
    const std::unique_ptr<Disk> disk = open_source(path, DirectIo::off);
    fs::resize_file(path, 4096);
    AlignedBuffer buffer(8192);
    CHECK_THROWS_WITH_AS(
        disk->read(0, buffer.span()),
        fmt::format("reading '{}' at 0 (0 bytes): cannot read: the disk ends early", path.string())
            .c_str(),
        Error);
}

} // namespace coldspare::clone
