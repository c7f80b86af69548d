#include "clone/free_space.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/images.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>

namespace coldspare::clone {

namespace fs = std::filesystem;
using namespace images;

namespace {

constexpr std::uint64_t mebibyte = 1 << 20;
using Notes = std::vector<std::string>;

/// A disk whose partitions start and end at whole mebibytes, as sfdisk writes it.
class DiskImage {
public:
    DiskImage(std::uint64_t mebibytes, const std::string& table) {
        make(path_, mebibytes * mebibyte);
        run_well({"sfdisk", "-q", "--no-reread", "--no-tell-kernel", "--force", path_.string()},
                 table);
    }

    [[nodiscard]] const fs::path& path() const { return path_; }
    [[nodiscard]] fs::path spare() const { return directory_ / "part"; }

    /// A file system made by `argv` and the name of an image, put at `start`.
    void put(std::uint64_t start, std::uint64_t length, std::vector<std::string> argv) {
        make(spare(), length * mebibyte);
        argv.push_back(spare().string());
        run_well(argv);
        run_well({"dd", "if=" + spare().string(), "of=" + path_.string(), "bs=1M",
                  fmt::format("seek={}", start), "conv=notrunc,sparse", "status=none"});
    }

    [[nodiscard]] FreeSpace find() const { return find_free_space(path_, {}); }

private:
    TemporaryDirectory directory_;
    fs::path path_ = directory_ / "disk";
};

const std::vector<std::string> mke2fs{"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096"};
const std::vector<std::string> mkswap{"mkswap", "-q"};
const std::vector<std::string> mkfs_xfs{"mkfs.xfs", "-q"};

std::uint64_t within(const FreeSpace& space, std::uint64_t start, std::uint64_t length) {
    std::uint64_t sum = 0;
    for (const Range range : space.ranges) {
        const std::uint64_t from = std::max(range.offset, start * mebibyte);
        const std::uint64_t to = std::min(range.end(), (start + length) * mebibyte);
        sum += from < to ? to - from : 0;
    }
    return sum;
}

} // namespace

TEST_CASE("each partition is asked for its free space, and what lies between is kept") {
    DiskImage disk(360, "label: gpt\n"
                        "start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649\n"
                        "start=2MiB, size=16MiB\n"
                        "start=20MiB, size=8MiB, type=swap\n"
                        "start=30MiB, size=300MiB\n");
    disk.put(30, 300, mkfs_xfs);
    disk.put(20, 8, mkswap);
    disk.put(2, 16, mke2fs);
    const FreeSpace space = disk.find();
    CHECK(space.notes == Notes{"partition 1 is copied whole: nothing that is known is in it"});
    CHECK(well_formed(space.ranges, 360 * mebibyte));
    const std::string header = run_well({"dumpe2fs", "-h", disk.spare().string()});
    CHECK(within(space, 2, 16) == number_after(header, "\nFree blocks:") * 4096);
    CHECK(within(space, 20, 8) == 7 * mebibyte);
    CHECK(within(space, 30, 300) > 200 * mebibyte);
    CHECK(total(space.ranges) ==
          within(space, 2, 16) + within(space, 20, 8) + within(space, 30, 300));
    spoil(disk.path(), space.ranges);
    run_well({"sfdisk", "--verify", disk.path().string()});
    CHECK(disk.find().ranges == space.ranges);
    CHECK(run({"e2fsck", "-fn", fmt::format("{}?offset={}", disk.path().string(), 2 * mebibyte)})
              .exit_code == 0);
}

TEST_CASE("logical partitions are asked, and their tables are kept") {
    DiskImage disk(64, "label: dos\n"
                       "start=1MiB, size=16MiB, type=83\n"
                       "start=18MiB, size=40MiB, type=5\n"
                       "start=19MiB, size=16MiB, type=83\n"
                       "start=36MiB, size=8MiB, type=82\n");
    disk.put(1, 16, mke2fs);
    disk.put(19, 16, mke2fs);
    disk.put(36, 8, mkswap);
    const std::string before = run_well({"sfdisk", "-d", disk.path().string()});
    const FreeSpace space = disk.find();
    CHECK(space.notes.empty());
    CHECK(within(space, 1, 16) > 10 * mebibyte);
    CHECK(within(space, 19, 16) == within(space, 1, 16));
    CHECK(within(space, 36, 8) == 7 * mebibyte);
    CHECK(total(space.ranges) ==
          within(space, 1, 16) + within(space, 19, 16) + within(space, 36, 8));
    spoil(disk.path(), space.ranges);
    CHECK(run_well({"sfdisk", "-d", disk.path().string()}) == before);
    fs::resize_file(disk.path(), 30 * mebibyte); // a table is gone
    CHECK(disk.find().ranges.empty());
    REQUIRE(disk.find().notes.size() == 1);
    CHECK(disk.find().notes[0].starts_with("the disk "));
}

TEST_CASE("partitions that overlap are copied whole, and the others are not") {
    DiskImage disk(64, "label: dos\n"
                       "start=1MiB, size=16MiB, type=83\n"
                       "start=20MiB, size=16MiB, type=83\n"
                       "start=40MiB, size=16MiB, type=83\n");
    disk.put(1, 16, mke2fs);
    disk.put(20, 16, mke2fs);
    disk.put(40, 16, mke2fs);
    CHECK(disk.find().notes.empty());
    // The third starts at 35 MiB now, in the last MiB of the second, where nothing is.
    disk.put(35, 16, mke2fs);
    overwrite(disk.path(), 446 + 32 + 8, std::string("\0\x18\1\0", 4)); // 35 MiB in sectors
    const FreeSpace space = disk.find();
    CHECK(space.notes == Notes{"partition 2 (ext4) is copied whole: partition 3 overlaps it",
                               "partition 3 (ext4) is copied whole: partition 2 overlaps it"});
    CHECK(within(space, 1, 16) > 10 * mebibyte);
    CHECK(total(space.ranges) == within(space, 1, 16));
}

TEST_CASE("a partition over the container of the logical ones is copied whole, and so are those") {
    DiskImage disk(64, "label: dos\n"
                       "start=1MiB, size=8MiB, type=82\n"
                       "start=18MiB, size=40MiB, type=5\n"
                       "start=19MiB, size=16MiB, type=83\n");
    disk.put(1, 8, mkswap);
    disk.put(19, 16, mke2fs);
    overwrite(disk.path(), 446 + 12, std::string("\0\xa0\0\0", 4)); // 20 MiB in sectors
    const FreeSpace space = disk.find();
    CHECK(space.notes == Notes{"partition 1 (swap) is copied whole: partition 2 overlaps it",
                               "partition 5 (ext4) is copied whole: partition 1 overlaps it"});
    CHECK(space.ranges.empty());
}

TEST_CASE("a partition in which the table of a logical one lies is copied whole") {
    DiskImage disk(64, "label: dos\n"
                       "start=2MiB, size=60MiB, type=5\n"
                       "start=3MiB, size=16MiB, type=83\n"
                       "start=40MiB, size=8MiB, type=82\n");
    disk.put(3, 16, mke2fs);
    disk.put(40, 8, mkswap);
    CHECK(disk.find().notes.empty());
    // The second table moves into the first logical partition.
    const std::uint64_t link = 2 * mebibyte + 446 + 16 + 8; // in the first, from the container on
    std::string table = bytes_at(disk.path(), 39 * mebibyte, 512);
    overwrite(disk.path(), link, std::string("\0\x68\0\0", 4)); // 13 MiB, in sectors
    table.replace(446 + 8, 4, std::string("\0\xc8\0\0", 4));    // 25 MiB further on
    overwrite(disk.path(), 15 * mebibyte, table);
    const FreeSpace space = disk.find();
    CHECK(space.notes == Notes{"partition 5 (ext4) is copied whole: the table of a logical "
                               "partition lies in it"});
    CHECK(total(space.ranges) == within(space, 40, 8));
    CHECK(total(space.ranges) == 7 * mebibyte);
}

TEST_CASE("a partition that ends past the end of the disk is copied whole") {
    DiskImage disk(40, "label: dos\n"
                       "start=1MiB, size=16MiB, type=83\n"
                       "start=20MiB, size=16MiB, type=83\n");
    disk.put(1, 16, mke2fs);
    disk.put(20, 16, mke2fs);
    fs::resize_file(disk.path(), 30 * mebibyte);
    const FreeSpace space = disk.find();
    REQUIRE(space.notes.size() == 1);
    CHECK(contains(space.notes[0], "partition 2"));
    CHECK(contains(space.notes[0], "it ends past the end of the disk"));
    CHECK(total(space.ranges) == within(space, 1, 16));
}

TEST_CASE("a doubt about one partition is told with its number, its kind and the reason") {
    DiskImage disk(40, "label: gpt\n"
                       "start=1MiB, size=16MiB\n"
                       "start=20MiB, size=8MiB\n"
                       "start=30MiB, size=8MiB\n");
    disk.put(1, 16, mke2fs);
    disk.put(20, 8, mkswap);
    disk.put(30, 8, mkswap);
    overwrite(disk.path(), 20 * mebibyte + 4096 - 10, std::string("S1SUSPEND\0", 10));
    overwrite(disk.path(), mebibyte + 1024 + 0x3a, std::string("\0\0", 2)); // state, and no longer
    const FreeSpace space = disk.find();                                    // its checksum
    CHECK(total(space.ranges) == 7 * mebibyte);
    CHECK(within(space, 30, 8) == 7 * mebibyte);
    REQUIRE(space.notes.size() == 2);
    CHECK(space.notes[0].starts_with("partition 1"));
    CHECK(space.notes[1] ==
          "partition 2 (swsuspend) is copied whole: it holds the memory of a hibernated system");
}

TEST_CASE("a disk without a table is one file system") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make(image, 16 * mebibyte);
    run_well({"mke2fs", "-q", "-F", "-b", "4096", image.string()});
    const std::string header = run_well({"dumpe2fs", "-h", image.string()});
    FreeSpace space = find_free_space(image, {});
    CHECK(space.notes.empty());
    CHECK(total(space.ranges) == number_after(header, "\nFree blocks:") * 4096);
    run_well({"debugfs", "-w", "-R", "ssv state 0", image.string()});
    space = find_free_space(image, {});
    CHECK(space.ranges.empty());
    CHECK(space.notes == Notes{"the disk (ext2) is copied whole: it was not cleanly unmounted"});
}

TEST_CASE("an xfs with a dirty log on a disk without a table is copied whole") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make(image, 300 * mebibyte);
    run_well({"mkfs.xfs", "-q", image.string()});
    CHECK(find_free_space(image, {}).notes.empty());
    run_well(
        {"xfs_db", "-x", "-c", "sb 0", "-c", "write -d features_log_incompat 1", image.string()});
    const FreeSpace space = find_free_space(image, {});
    CHECK(space.ranges.empty());
    CHECK(space.notes == Notes{"the disk (xfs) is copied whole: its log is dirty"});
}

TEST_CASE("what is not known is copied whole") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make(image, 16 * mebibyte);
    CHECK(find_free_space(image, {}).notes ==
          Notes{"the disk is copied whole: nothing that is known is in it"});
    run_well({"mke2fs", "-q", "-F", "-O", "journal_dev", image.string()});
    CHECK(find_free_space(image, {}).notes ==
          Notes{"the disk (jbd) is copied whole: only ext2, ext3, ext4, xfs and swap are looked "
                "into"});
    CHECK(find_free_space(image, {}).ranges.empty());
    run_well({"mke2fs", "-q", "-F", "-t", "ext4", image.string()});
    CHECK(find_free_space(image, {}).notes.empty());
    overwrite(image, 0, "\xce\xfa\xad\x1b"); // of BFS, where ext4 has nothing
    CHECK(find_free_space(image, {}).notes ==
          Notes{"the disk is copied whole: it has the signatures of more than one kind"});
    overwrite(image, 0, std::string("LUKS\xba\xbe\0\1", 8));
    CHECK(find_free_space(image, {}).notes ==
          Notes{"the disk (crypto_LUKS) is copied whole: only ext2, ext3, ext4, xfs and swap are "
                "looked into"});
    CHECK(find_free_space(image, {}).ranges.empty());
}

TEST_CASE("a table beside a file system of the whole disk makes all of it doubtful") {
    DiskImage disk(40, "label: dos\nstart=2MiB, size=16MiB, type=83\n");
    disk.put(2, 16, mke2fs);
    CHECK(disk.find().notes.empty());
    const std::string table = bytes_at(disk.path(), 0, 512);
    run_well({"mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-E", "nodiscard",
              disk.path().string()});
    overwrite(disk.path(), 0, table);
    const FreeSpace space = disk.find();
    CHECK(space.ranges.empty());
    CHECK(space.notes ==
          Notes{"the disk (ext4) is copied whole: it has a partition table as well"});
}

TEST_CASE("a file that is not there is an error, and a stop is one") {
    CHECK_THROWS_AS(static_cast<void>(find_free_space("/nowhere/image", {})), Error);
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make(image, 16 * mebibyte);
    run_well({"mke2fs", "-q", "-F", image.string()});
    std::stop_source stop;
    stop.request_stop();
    CHECK(thrown_by([&] {
              static_cast<void>(find_free_space(image, stop.get_token()));
          }).status() == ExitStatus::interrupted);
}

TEST_CASE("looking for free space changes nothing") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make(image, 16 * mebibyte);
    run_well({"mke2fs", "-q", "-F", "-t", "ext4", image.string()});
    fs::permissions(image, fs::perms::owner_read);
    const fs::file_time_type time = fs::last_write_time(image);
    const std::string content = read_file(image, 16 * mebibyte);
    CHECK_FALSE(find_free_space(image, {}).ranges.empty());
    CHECK(fs::last_write_time(image) == time);
    CHECK(read_file(image, 16 * mebibyte) == content);
}

} // namespace coldspare::clone
