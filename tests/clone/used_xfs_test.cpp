#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/used_space.hpp"
#include "tests/support/images.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"
#include "tests/support/tiny_xfs.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>

namespace coldspare::clone {

namespace fs = std::filesystem;
using namespace images;

namespace {

constexpr std::uint64_t image_size = 300 << 20; // mkfs.xfs makes nothing smaller

void make_xfs(const fs::path& image, const std::vector<std::string>& options = {}) {
    make(image, image_size);
    std::vector<std::string> argv{"mkfs.xfs", "-q"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(image.string());
    run_well(argv);
}

/// A prototype of mkfs.xfs: a root directory with these files.
fs::path prototype(const TemporaryDirectory& directory, int count) {
    make_files(directory / "files", count);
    std::string text = "nothing\n0 0\nd--755 0 0\n";
    for (int i = 0; i < count; ++i) {
        text += fmt::format("f{} ---644 0 0 {}\n", i,
                            (directory / "files" / fmt::format("f{}", i)).string());
    }
    const fs::path path = directory / "prototype";
    std::ofstream(path) << text << "$\n";
    return path;
}

std::string xfs_db(const fs::path& image, const std::vector<std::string>& commands) {
    std::vector<std::string> argv{"xfs_db", "-x"};
    for (const std::string& command : commands) {
        argv.insert(argv.end(), {"-c", command});
    }
    argv.push_back(image.string());
    return run_well(argv);
}

std::vector<Range> free_in(const fs::path& image) {
    return free_space_of_xfs(reader_of(image), fs::file_size(image), {});
}

std::string reason(const fs::path& image) {
    return thrown_by([&] { static_cast<void>(free_in(image)); }).message();
}

/// What xfs_db says of all groups, without the blocks that wait in their free lists.
std::uint64_t free_bytes_by_xfs_db(const fs::path& image) {
    const std::string super = xfs_db(image, {"sb 0", "p agcount blocksize"});
    std::uint64_t blocks = 0;
    for (std::uint64_t group = 0; group < number_after(super, "agcount"); ++group) {
        blocks +=
            number_after(xfs_db(image, {fmt::format("agf {}", group), "p freeblks"}), "freeblks");
    }
    return blocks * number_after(super, "blocksize");
}

/// The content of a file, read from the places that xfs_db says.
std::string content_in(const fs::path& image, int number, std::size_t size) {
    const std::string super = xfs_db(image, {"sb 0", "p agblocks blocksize"});
    const std::uint64_t block_size = number_after(super, "blocksize");
    std::string content;
    std::string map = xfs_db(image, {fmt::format("path /f{}", number), "bmap -d"});
    while (contains(map, "startblock")) {
        const std::uint64_t group = number_after(map, "(");
        const std::uint64_t block = number_after(map, "/");
        const std::uint64_t count = number_after(map, "count");
        content += bytes_at(image, (group * number_after(super, "agblocks") + block) * block_size,
                            static_cast<std::size_t>(count * block_size));
        map.erase(0, map.find("flag") + 4);
    }
    content.resize(std::min(content.size(), size));
    return content;
}

std::uint64_t log_of(const fs::path& image) {
    const std::string super = xfs_db(image, {"sb 0", "p logstart agblklog agblocks blocksize"});
    const std::uint64_t start = number_after(super, "logstart");
    const std::uint64_t bits = number_after(super, "agblklog");
    return ((start >> bits) * number_after(super, "agblocks") + (start & ((1ULL << bits) - 1))) *
           number_after(super, "blocksize");
}

void flip(const fs::path& image, std::uint64_t at) {
    overwrite(image, at, std::string(1, static_cast<char>(bytes_at(image, at, 1)[0] ^ 1)));
}

/// A fresh image for each doubt, made from one.
class Doubts {
public:
    explicit Doubts(const std::vector<std::string>& options = {}) {
        make_xfs(pristine_, options);
        CHECK_FALSE(free_in(pristine_).empty());
    }
    fs::path fresh() {
        copy_image(pristine_, image_);
        return image_;
    }
    /// The reason after a field was written, with a checksum that fits.
    std::string after(const std::string& where, const std::string& field) {
        xfs_db(fresh(), {where, "write -d " + field});
        return reason(image_);
    }

private:
    TemporaryDirectory directory_;
    fs::path pristine_ = directory_ / "pristine";
    fs::path image_ = directory_ / "image";
};

std::vector<Range> free_in(const TinyXfs& tiny) {
    const ReadBytes read = [&](std::uint64_t offset, std::span<std::byte> into) {
        if (!inside({offset, into.size()}, tiny.bytes.size())) {
            throw Error("it ends early");
        }
        std::ranges::copy(as_byte_span(tiny.bytes).subspan(offset, into.size()), into.begin());
    };
    return free_space_of_xfs(read, TinyXfs::size, {});
}

/// The reason after `value` was put at `at`.
std::string reason(std::size_t at, std::uint64_t value, std::size_t length = 4) {
    TinyXfs tiny;
    tiny.put(at, value, length);
    return thrown_by([&] { static_cast<void>(free_in(tiny)); }).message();
}

} // namespace

TEST_CASE("what xfs calls free can be spoilt, and no file changes") {
    const TemporaryDirectory directory;
    constexpr int files = 400;
    const fs::path image = directory / "image";
    make_xfs(image,
             {"-b", "size=1024", "-d", "agcount=2", "-p", prototype(directory, files).string()});
    // Every second file is made a wreck, and xfs_repair frees what it had: holes enough for a tree
    // of two levels.
    std::vector<std::string> wreck;
    for (int i = 0; i < files; i += 2) {
        wreck.insert(wreck.end(), {fmt::format("path /f{}", i), "write -d core.mode 0"});
    }
    xfs_db(image, wreck);
    run_well({"xfs_repair", image.string()});
    const std::string header = xfs_db(image, {"agf 0", "p bnolevel"});
    CHECK(number_after(header, "bnolevel") == 2);
    const std::vector<Range> ranges = free_in(image);
    CHECK(well_formed(ranges, image_size));
    CHECK(ranges.size() > 150);
    CHECK(total(ranges) == free_bytes_by_xfs_db(image));
    spoil(image, ranges);
    CHECK(run({"xfs_repair", "-n", image.string()}).exit_code == 0);
    for (int i = 1; i < files; i += 26) {
        CAPTURE(i);
        const std::string content = content_of_file(i);
        CHECK(content_in(image, i, content.size()) == content);
    }
}

TEST_CASE("all free space of xfs is found, whatever its geometry and features are") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    for (const std::vector<std::string>& options :
         std::vector<std::vector<std::string>>{{"-m", "crc=0"},
                                               {"-m", "crc=0", "-b", "size=512"},
                                               {"-m", "crc=0", "-l", "version=1"},
                                               {"-m", "rmapbt=1,reflink=1"},
                                               {"-m", "finobt=0,reflink=0", "-i", "sparse=0"},
                                               {"-i", "nrext64=1"},
                                               {"-b", "size=65536"},
                                               {"-s", "size=4096"},
                                               {"-l", "su=256k"},
                                               {"-n", "version=ci"},
                                               {"-d", "agcount=3", "-l", "agnum=1"}}) {
        CAPTURE(options.back());
        make_xfs(image, options);
        const std::vector<Range> ranges = free_in(image);
        CHECK(well_formed(ranges, image_size));
        CHECK(total(ranges) == free_bytes_by_xfs_db(image));
        spoil(image, std::span(ranges).first(2));
        CHECK(run({"xfs_repair", "-n", image.string()}).exit_code == 0);
    }
}

TEST_CASE("an xfs whose UUID was changed is read once its log is in order") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make_xfs(image);
    xfs_db(image, {"uuid generate"});
    // xfsprogs leave zeros between the two cycles of the new log: the kernel itself would replay it
    // as soon as something was written there.
    CHECK(reason(image) == "its log is not in order");
    const std::uint64_t log = log_of(image);
    const std::uint64_t length =
        number_after(xfs_db(image, {"sb 0", "p logblocks"}), "logblocks") * 4096;
    overwrite(image, log + 1024, std::string(length - 1024, '\0'));
    for (const std::uint64_t cycle :
         {4U, 16U, 512U}) { // of the record, of its place, of its content
        overwrite(image, log + cycle, std::string("\0\0\0\1", 4));
    }
    CHECK(total(free_in(image)) == free_bytes_by_xfs_db(image));
}

TEST_CASE("an xfs with a feature that is not known is not believed") {
    Doubts doubts;
    CHECK(doubts.after("sb 0", "features_compat 1") == "it has features that are not known here");
    CHECK(doubts.after("sb 0", "features_ro_compat 0x1d") ==
          "it has features that are not known here");
    CHECK(doubts.after("sb 0", "features_incompat 0x4b") ==
          "it has features that are not known here");
    CHECK(doubts.after("sb 0", "features_incompat 0x1b") == "it waits for xfs_repair");
    CHECK(doubts.after("sb 0", "features_log_incompat 1") == "its log is dirty");
    CHECK(doubts.after("sb 0", "versionnum 0xb6a5") == "it has features that are not known here");
    CHECK(doubts.after("sb 0", "versionnum 0xb4a6") == "version 6 of XFS is not known here");
    CHECK(doubts.after("sb 0", "inprogress 1") == "mkfs.xfs did not finish it");
    CHECK(doubts.after("sb 0", "rblocks 100") == "it has a realtime part");
    CHECK(doubts.after("sb 0", "logstart 0") == "its log is on another device");
}

TEST_CASE("an xfs whose superblock or headers are wrong is not believed") {
    Doubts doubts;
    flip(doubts.fresh(), 130);
    const fs::path image = doubts.fresh();
    flip(image, 130); // icount
    CHECK(reason(image) == "the checksum of its superblock is wrong");
    flip(doubts.fresh(), 512 + 64);
    CHECK(reason(image) == "in allocation group 0, the checksum of its header is wrong");
    flip(doubts.fresh(), 4096 + 60);
    CHECK(reason(image) == "in allocation group 0, block 1 has a wrong checksum or owner");
    CHECK(doubts.after("sb 0", "fdblocks 1").ends_with("and its superblock says 1"));
    CHECK(doubts.after("sb 0", "dblocks 999999") ==
          "it has 999999 blocks of 4096 bytes, and there is room for 76800");
    CHECK(doubts.after("sb 0", "agcount 5") == "its superblock makes no sense");
    CHECK(doubts.after("sb 0", "agblklog 16") == "its superblock makes no sense");
    CHECK(doubts.after("agf 2", "seqno 1") == "in allocation group 2, its header makes no sense");
    CHECK(doubts.after("agf 3", "bnoroot 5000000") ==
          "in allocation group 3, its tree of free space leaves the group");
    CHECK(doubts.after("agf 3", "bnolevel 2") ==
          "in allocation group 3, block 1 is no node of its tree of free space");
    CHECK(doubts.after("agf 1", "freeblks 1").ends_with("and its header says 1"));
    fs::resize_file(doubts.fresh(), 100 << 20);
    CHECK(reason(image) == "it has 76800 blocks of 4096 bytes, and there is room for 25600");
}

TEST_CASE("an xfs with a log that is dirty, torn or empty is not believed") {
    Doubts doubts;
    const fs::path image = doubts.fresh();
    const std::uint64_t log = log_of(image);
    CHECK(contains(run({"xfs_logprint", "-t", image.string()}).out, "CLEAN"));
    overwrite(image, log + 512 + 9, std::string(1, '\0')); // the flag of the one operation
    CHECK(contains(run({"xfs_logprint", "-t", image.string()}).out, "DIRTY"));
    CHECK(reason(image) == "its log is dirty");
    overwrite(doubts.fresh(), log + 512 * 1000, std::string("\0\0\0\1", 4)); // a hole before it
    CHECK(reason(image) == "its log is not in order");
    overwrite(doubts.fresh(), log, std::string(1024, '\0'));
    CHECK(reason(image) == "its log is not in order");
    flip(doubts.fresh(), log + 304); // the UUID in its record
    CHECK(reason(image) == "its log is not in order");
}

TEST_CASE("a small xfs by hand has the free space that it was given") {
    CHECK(free_in(TinyXfs()) == std::vector<Range>{{10 * 512, 10 * 512}, {40 * 512, 20 * 512}});
}

TEST_CASE("a tree of free space of xfs that contradicts itself is not believed") {
    constexpr std::size_t tree = TinyXfs::tree;
    constexpr const char* disorder = "in allocation group 0, its free extents are not in order";
    constexpr const char* covers = "in allocation group 0, its free extents cover metadata";
    constexpr const char* no_node =
        "in allocation group 0, block 4 is no node of its tree of free space";
    CHECK(reason(tree, 0x41425443) == no_node);
    CHECK(reason(tree + 4, 1, 2) == no_node);
    CHECK(reason(tree + 8, 7) == no_node);
    CHECK(reason(tree + 12, 7) == "in allocation group 0, its tree of free space ends early");
    CHECK(reason(tree + 6, 63, 2) ==
          "in allocation group 0, block 4 has 63 records, and there is room for 62");
    CHECK(reason(tree + 6, 1, 2) ==
          "in allocation group 0, its free extents have 10 blocks, and its header says 30");
    CHECK(reason(tree + 24, 19) == disorder); // overlaps
    CHECK(reason(tree + 24, 20) == disorder); // touches
    CHECK(reason(tree + 24, 45) == disorder); // past the end
    CHECK(reason(tree + 28, 0) == disorder);
    CHECK(reason(tree + 16, 0) == disorder);
    CHECK(reason(tree + 16, 3) == covers); // a header, the tree and the log
    CHECK(reason(tree + 16, 4) == covers); // the tree and the log
    CHECK(reason(tree + 16, 7) == covers); // the end of the log
    CHECK_NOTHROW([] {
        TinyXfs tiny;
        tiny.put(tree + 16, 8, 4);
        static_cast<void>(free_in(tiny));
    }());
}

TEST_CASE("a group of xfs whose counts are wrong is not believed") {
    constexpr std::size_t agf = TinyXfs::agf;
    constexpr const char* nonsense = "in allocation group 0, its header makes no sense";
    CHECK(reason(agf + 52, 29) ==
          "in allocation group 0, its free extents have 30 blocks, and its header says 29");
    CHECK(reason(agf + 56, 21).starts_with("in allocation group 0, its free extents have"));
    for (const std::size_t field : {0U, 4U, 8U, 12U}) {
        CAPTURE(field);
        CHECK(reason(agf + field, 77) == nonsense);
    }
    CHECK(reason(agf + 28, 0) == nonsense);
    CHECK(reason(agf + 28, 10) == nonsense);
    CHECK(reason(agf + 16, 0) == "in allocation group 0, its tree of free space leaves the group");
    CHECK(reason(144, 29, 8) == "its groups have 30 blocks free, and its superblock says 29");
}

TEST_CASE("a log of xfs that does not end in an unmount record is dirty") {
    constexpr std::size_t log = TinyXfs::log;
    CHECK(reason(log + 40, 2) == "its log is dirty");           // two operations
    CHECK(reason(log + 12, 513) == "its log is dirty");         // ends elsewhere
    CHECK(reason(log + 12, 0xffffffff) == "its log is dirty");  // or nowhere
    CHECK(reason(log + 320, 0xffffffff) == "its log is dirty"); // with headers beyond count
    CHECK(reason(log + 512 + 8, 0x69, 1) == "its log is dirty");
    CHECK(reason(log + 512 + 9, 0x21, 1) == "its log is dirty");
    CHECK(reason(log + 8, 1) == "its log is not in order");  // a version that it has not
    CHECK(reason(log + 20, 1) == "its log is not in order"); // a record of another place
    CHECK(reason(log + 1024, 2) == "its log is not in order");
    CHECK(reason(log + 1024, 1) == "its log is dirty"); // a block after the record, in its cycle
    CHECK(reason(log, 1) == "its log has no record");
}

TEST_CASE("an unmount record of xfs may end at the end of the log or go around it") {
    TinyXfs tiny; // a log of four blocks, rotated: the head is where the cycle changes
    const std::string record = tiny.bytes.substr(TinyXfs::log, 512);
    const std::string operation = tiny.bytes.substr(TinyXfs::log + 512, 512);
    tiny.bytes.resize(9 * 512);
    tiny.put(96, 4, 4);
    const auto rotate = [&](std::uint32_t place) {
        for (std::uint32_t i = 0; i < 4; ++i) {
            const std::uint32_t cycle = place + i >= 4 ? 3 : 2;
            const std::size_t at = TinyXfs::log + std::size_t{512} * ((place + i) % 4);
            tiny.bytes.replace(at, 512,
                               i == 0   ? record
                               : i == 1 ? operation
                                        : std::string(512, '\0'));
            tiny.put(at + (i == 0 ? 4 : 0), i < 2 ? cycle : cycle - 1, 4);
        }
        tiny.put(TinyXfs::log + std::size_t{512} * place + 16, std::uint64_t{2} << 32 | place, 8);
    };
    for (const std::uint32_t place : {0U, 1U, 2U, 3U}) {
        CAPTURE(place);
        rotate(place);
        CHECK(free_in(tiny).size() == 2);
        tiny.put(TinyXfs::log + std::size_t{512} * ((place + 1) % 4) + 9, 0, 1);
        CHECK_THROWS_WITH_AS(static_cast<void>(free_in(tiny)), "its log is dirty", Error);
    }
}

TEST_CASE("a stop ends the look into xfs") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make_xfs(image);
    std::stop_source stop;
    stop.request_stop();
    CHECK(thrown_by([&] {
              static_cast<void>(free_space_of_xfs(reader_of(image), image_size, stop.get_token()));
          }).status() == ExitStatus::interrupted);
}

} // namespace coldspare::clone
