#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/used_space.hpp"
#include "tests/support/images.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace coldspare::clone {

namespace fs = std::filesystem;
using namespace images;

namespace {

constexpr std::uint64_t image_size = 32 << 20;
constexpr int files = 60;

std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> found;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        found.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return found;
}

void debugfs(const fs::path& image, const std::string& commands) {
    const ProcessResult result = run({"debugfs", "-w", "-f", "-", image.string()}, commands + "\n");
    REQUIRE(result.exit_code == 0);
}

/// A file system with files, of which every third was removed again.
void make_ext(const fs::path& image, const fs::path& directory, std::string_view options) {
    make(image, image_size);
    std::vector<std::string> argv{"mke2fs", "-q", "-F", "-d", directory.string()};
    std::ranges::copy(words(options), std::back_inserter(argv));
    argv.push_back(image.string());
    run_well(argv);
    std::string commands;
    for (int i = 0; i < files; i += 3) {
        commands += fmt::format("rm f{}\n", i);
    }
    debugfs(image, commands);
    // debugfs counts clusters where it should count blocks, and the like.
    CHECK(run({"e2fsck", "-fy", image.string()}).exit_code <= 1);
}

std::vector<Range> free_in(const fs::path& image) {
    return free_space_of_ext(image, {0, fs::file_size(image)}, {});
}

std::string reason(const fs::path& image) {
    return thrown_by([&] { static_cast<void>(free_in(image)); }).message();
}

/// A fresh image for each doubt, made from one.
class Doubts {
public:
    explicit Doubts(std::string_view options) {
        make_files(directory_ / "files", files);
        make_ext(pristine_, directory_ / "files", options);
        CHECK_FALSE(free_in(pristine_).empty());
    }
    fs::path fresh() {
        copy_image(pristine_, image_);
        return image_;
    }
    /// The reason after these commands of debugfs.
    std::string after(const std::string& commands) {
        debugfs(fresh(), commands);
        return reason(image_);
    }

private:
    TemporaryDirectory directory_;
    fs::path pristine_ = directory_ / "pristine";
    fs::path image_ = directory_ / "image";
};

std::string header_of(const fs::path& image) {
    return run_well({"dumpe2fs", "-h", image.string()});
}

} // namespace

TEST_CASE("what ext calls free can be spoilt, and all of it is found, whatever the features are") {
    const TemporaryDirectory directory;
    make_files(directory / "files", files);
    const fs::path image = directory / "image";
    for (const std::string_view options :
         {"-t ext2 -b 1024", "-t ext2 -b 4096 -r 0 -O none", "-t ext3", "-t ext4 -b 1024",
          "-t ext4 -b 2048", "-t ext4 -b 4096 -O 64bit", "-t ext4 -b 65536 -O ^has_journal",
          "-t ext4 -O bigalloc -C 16384", "-t ext4 -O bigalloc -b 1024 -C 65536",
          "-t ext4 -b 1024 -O ^flex_bg,^metadata_csum,uninit_bg",
          "-t ext4 -b 1024 -O meta_bg,^resize_inode", "-t ext4 -b 1024 -O sparse_super2",
          "-t ext4 -b 1024 -g 1024", "-t ext4 -O ^has_journal,inline_data,encrypt,casefold"}) {
        CAPTURE(options);
        make_ext(image, directory / "files", options);
        const std::vector<Range> ranges = free_in(image);
        CHECK(well_formed(ranges, image_size));
        const std::string header = header_of(image);
        CHECK(total(ranges) ==
              number_after(header, "\nFree blocks:") * number_after(header, "\nBlock size:"));
        spoil(image, ranges);
        CHECK(run({"e2fsck", "-fn", image.string()}).exit_code == 0);
        const fs::path out = directory / "out";
        fs::remove_all(out);
        fs::create_directory(out);
        run_well({"debugfs", "-R", fmt::format("rdump / {}", out.string()), image.string()});
        for (int i = 0; i < files; ++i) {
            CAPTURE(i);
            const fs::path file = out / fmt::format("f{}", i);
            REQUIRE(fs::exists(file) == (i % 3 != 0));
            CHECK((i % 3 == 0 || read_file(file, 1 << 20) == content_of_file(i)));
        }
    }
}

TEST_CASE("free space of ext counts from the start of the disk") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make(image, image_size);
    run_well({"mke2fs", "-q", "-F", "-b", "1024", image.string()});
    const std::vector<Range> ranges = free_in(image);
    const fs::path disk = directory / "disk";
    make(disk, 3 * image_size);
    constexpr std::uint64_t offset = 12345 * 512;
    overwrite(disk, offset, read_file(image, image_size));
    const std::vector<Range> moved = free_space_of_ext(disk, {offset, image_size}, {});
    REQUIRE(moved.size() == ranges.size());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        CHECK(moved[i] == Range{ranges[i].offset + offset, ranges[i].length});
    }
}

TEST_CASE("an ext that is in use, failed or not cleanly unmounted is not believed") {
    Doubts doubts("-t ext4 -b 4096");
    CHECK(doubts.after("feature needs_recovery") == "its journal needs recovery");
    CHECK(doubts.after("ssv state 3") ==
          "the kernel has found errors in it, and fsck has not run since");
    CHECK(doubts.after("ssv error_count 1") ==
          "the kernel has found errors in it, and fsck has not run since");
    CHECK(doubts.after("ssv state 0") == "it was not cleanly unmounted");
    CHECK(doubts.after("ssv last_orphan 12") == "it was not cleanly unmounted");
    CHECK(doubts.after("ssv journal_inum 0\nssv journal_dev 0x0801") ==
          "its journal is on another device");
}

TEST_CASE("a journal of ext that has something in it is due for recovery without the flag too") {
    Doubts doubts("-t ext4 -b 4096");
    const fs::path image = doubts.fresh();
    const std::uint64_t journal =
        number_after(run_well({"debugfs", "-R", "bmap <8> 0", image.string()}), "");
    overwrite(image, journal * 4096 + 0x1c, std::string("\0\0\0\1", 4));
    CHECK(reason(image) == "its journal needs recovery");
    overwrite(image, journal * 4096, "not a journal");
    CHECK(reason(image) == "its journal has no superblock");
}

TEST_CASE("an ext with an unknown feature is not believed") {
    Doubts doubts("-t ext4 -b 4096");
    CHECK(doubts.after("feature FEATURE_C30") ==
          "it has features that are not known here (0x40000000, 0x0, 0x0)");
    CHECK(doubts.after("feature FEATURE_R30") ==
          "it has features that are not known here (0x0, 0x0, 0x40000000)");
    CHECK(doubts.after("feature FEATURE_I30") ==
          "libext2fs says: Filesystem has unsupported feature(s)");
    CHECK(doubts.after("feature shared_blocks") ==
          "it has features that are not known here (0x0, 0x0, 0x4000)");
}

TEST_CASE("bitmaps of ext that disagree with their checksums or counts are not believed") {
    Doubts doubts("-t ext4 -b 4096");
    const fs::path image = doubts.fresh();
    const std::uint64_t bitmap =
        number_after(run_well({"dumpe2fs", image.string()}), "Block bitmap at ") * 4096;
    overwrite(image, bitmap + 100,
              std::string(1, static_cast<char>(bytes_at(image, bitmap + 100, 1)[0] ^ 1)));
    CHECK(reason(image) == "the checksum of its block bitmap 0 is wrong");
    const std::uint64_t free = total(free_in(doubts.fresh())) / 4096;
    CHECK(doubts.after("ssv free_blocks_count 5") ==
          fmt::format("its bitmaps have {} blocks free, and its superblock says 5", free));
    CHECK(doubts.after("set_bg 0 free_blocks_count 7\nset_bg 0 checksum calc") ==
          fmt::format("its block bitmap 0 has {} free, and its descriptor says 7", free));
    CHECK(doubts.after("set_bg 0 free_blocks_count 7\nset_bg 0 checksum 1") ==
          "the checksum of its group 0 is wrong");
    overwrite(doubts.fresh(), 1024 + 0x3fc, "\1\2\3\4");
    CHECK(reason(image) == "libext2fs says: Superblock checksum does not match superblock");
}

TEST_CASE("one wrong bit in a bitmap of ext without checksums is noticed") {
    Doubts doubts("-t ext3 -b 4096");
    const fs::path image = doubts.fresh();
    const std::string dump = run_well({"dumpe2fs", image.string()});
    const std::uint64_t free = number_after(dump, "\nFree blocks:");
    const std::uint64_t table = number_after(dump, "Inode table at ");
    CHECK(doubts.after(fmt::format("freeb {}", table)) == "its block bitmap 0 calls metadata free");
    CHECK(
        doubts.after(fmt::format("setb {}", image_size / 4096 - 1)) ==
        fmt::format("its block bitmap 0 has {} free, and its descriptor says {}", free - 1, free));
}

TEST_CASE("an ext that is larger than its place is not believed") {
    Doubts doubts("-t ext4 -b 4096");
    const fs::path image = doubts.fresh();
    const Error error = thrown_by([&] {
        static_cast<void>(free_space_of_ext(image, {0, image_size - 4096}, {}));
    });
    CHECK(error.message() == "it has 8192 blocks of 4096 bytes, and there is room for 8191");
    fs::resize_file(image, 20 << 20);
    CHECK(reason(image) == "it has 8192 blocks of 4096 bytes, and there is room for 5120");
    fs::resize_file(image, 1500);
    CHECK(reason(image).starts_with("libext2fs says: "));
}

TEST_CASE("an ext with groups of an impossible size is not believed") {
    Doubts doubts("-t ext4 -b 1024");
    for (const int blocks : {0, 256, 16384}) {
        CAPTURE(blocks);
        CHECK(doubts.after(
                  fmt::format("ssv blocks_per_group {0}\nssv clusters_per_group {0}", blocks)) ==
              "libext2fs says: The ext2 superblock is corrupt");
    }
}

TEST_CASE("an ext that another host has mounted is not believed") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make(image, image_size);
    run_well({"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "mmp,^metadata_csum",
              image.string()});
    const std::string header = header_of(image);
    CHECK(total(free_in(image)) == number_after(header, "\nFree blocks:") * 4096);
    const std::uint64_t block = number_after(header, "\nMMP block number:");
    overwrite(image, block * 4096 + 4, std::string("\1\0\0\0", 4));
    CHECK(reason(image) == "its multiple-mount protection says that it is in use");
}

TEST_CASE("a stop ends the look into ext") {
    Doubts doubts("-t ext4 -b 4096");
    const fs::path image = doubts.fresh();
    std::stop_source stop;
    stop.request_stop();
    CHECK(thrown_by([&] {
              static_cast<void>(free_space_of_ext(image, {0, image_size}, stop.get_token()));
          }).status() == ExitStatus::interrupted);
}

} // namespace coldspare::clone
