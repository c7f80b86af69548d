#include "clone/places.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "clone/disk.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace coldspare::clone {

namespace {

namespace fs = std::filesystem;

using std::chrono::seconds;
using Names = std::vector<std::string>;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t start = mib; ///< of the first partition
constexpr std::uint64_t fs_size = 24 * mib;

struct Kind {
    std::string type;
    std::uint64_t block;
};

/// Not durable, unlike what base/files writes: there are many.
void put(const fs::path& path, std::size_t size) {
    std::ofstream(path, std::ios::binary) << std::string(size, 'x');
}

/// An image with three partitions: a file system with known files, swap space, and nothing.
class PartitionedImage {
public:
    explicit PartitionedImage(const Kind& kind, const Names& options = {}) : kind_(kind) {
        const fs::path root = directory_ / "root";
        for (const char* directory : {"etc", "srv/mail/user/alice", "tmp"}) {
            fs::create_directories(root / directory);
        }
        put(root / "etc/hosts", 3000);
        put(root / "etc/name with\x1b[2J", 3000);
        put(root / "srv/mail/user/alice/inbox", 5'000'000);
        fs::create_symlink("etc/hosts", root / "hosts");
        for (int i = 0; i < 200; ++i) {
            put(root / fmt::format("tmp/{}", i), 2000);
        }
        create_image(path(), 40 * mib);
        run_checked({.argv = {"sfdisk", "-q", path().string()},
                     .input = "label: gpt\nstart=1MiB, size=24MiB\nstart=26MiB, size=4MiB\n"
                              "start=32MiB, size=1MiB\n"});
        Names mke2fs{"mke2fs",
                     "-q",
                     "-F",
                     "-t",
                     kind.type,
                     "-L",
                     "root",
                     "-b",
                     std::to_string(kind.block),
                     "-d",
                     root.string(),
                     "-E",
                     fmt::format("offset={}", start)};
        mke2fs.insert(mke2fs.end(), options.begin(), options.end());
        mke2fs.insert(mke2fs.end(), {path().string(), fmt::format("{}k", fs_size / 1024)});
        run_checked({.argv = mke2fs});
    }

    [[nodiscard]] fs::path path() const { return directory_ / "image"; }
    [[nodiscard]] std::uint64_t block() const { return kind_.block; }
    [[nodiscard]] std::string debugfs(const std::string& request) const {
        return run_checked({.argv = {"debugfs", "-R", request,
                                     fmt::format("{}?offset={}", path().string(), start)}})
            .out;
    }
    /// The blocks of a file, by debugfs.
    [[nodiscard]] std::vector<std::uint64_t> blocks(const std::string& file) const {
        std::istringstream words(debugfs("blocks " + file));
        std::vector<std::uint64_t> numbers;
        for (std::uint64_t number = 0; words >> number;) {
            numbers.push_back(number);
        }
        REQUIRE_FALSE(numbers.empty());
        return numbers;
    }
    /// The number that debugfs prints in its statistics after these words.
    [[nodiscard]] std::uint64_t statistic(const std::string& words) const {
        const std::string stats = debugfs("stats");
        const std::size_t where = stats.find(words);
        REQUIRE(where != std::string::npos);
        return std::stoull(stats.substr(where + words.size()));
    }
    [[nodiscard]] Range range_of(std::uint64_t block_number) const {
        return {start + block_number * kind_.block, kind_.block};
    }
    /// Who has the bytes, for one range.
    [[nodiscard]] Names holders(Range range) const {
        const std::vector<Place> places = places_of(path(), {range}, seconds(60), {});
        REQUIRE(places.size() == 1);
        return places[0].holders;
    }
    void overwrite(Range range, char with) const {
        const Fd fd = open_file(path(), O_WRONLY);
        const std::string bytes(static_cast<std::size_t>(range.length), with);
        write_at(fd.get(), range.offset, as_byte_span(bytes));
    }

private:
    TemporaryDirectory directory_;
    Kind kind_;
};

const std::vector<Kind> kinds{{"ext2", 1024}, {"ext3", 1024}, {"ext4", 1024}, {"ext4", 4096}};

} // namespace

TEST_CASE("every block of a file leads to its path") {
    for (const Kind& kind : kinds) {
        CAPTURE(kind.type);
        CAPTURE(kind.block);
        const PartitionedImage image(kind);
        const std::map<std::string, std::string> names{
            {"/etc/hosts", "/etc/hosts"},
            {"/srv/mail/user/alice/inbox", "/srv/mail/user/alice/inbox"},
            {"/srv/mail", "/srv/mail"},
            {"/", "/"},
            {"/tmp/199", "/tmp/199"}};
        for (const auto& [file, name] : names) {
            CAPTURE(file);
            std::vector<Range> ranges;
            for (const std::uint64_t number : image.blocks(file)) {
                ranges.push_back(image.range_of(number));
            }
            std::ranges::sort(ranges, {}, &Range::offset);
            const std::vector<Place> places = places_of(image.path(), ranges, seconds(60), {});
            REQUIRE(places.size() == ranges.size());
            for (const Place& place : places) {
                CHECK(place.holders == Names{name});
            }
        }
    }
}

TEST_CASE("a place is told in words for people") {
    const PartitionedImage image({"ext4", 4096});
    const Range range = image.range_of(image.blocks("/etc/hosts").front());
    const Range sector{range.offset + 512, 512};
    const std::vector<Place> places = places_of(image.path(), {sector}, seconds(60), {});
    REQUIRE(places.size() == 1);
    CHECK(places[0].text() ==
          fmt::format("512 bytes at {} (partition 1, ext4 'root': /etc/hosts)", sector.offset));
    CHECK(Place{{4096, 512}}.text() == "512 bytes at 4096");
    CHECK(Place{{4096, 512}, 0, "", "", {"outside the partitions"}}.text() ==
          "512 bytes at 4096 (outside the partitions)");
    CHECK(Place{{4096, 512}, 3, "", "", {}}.text() == "512 bytes at 4096 (partition 3)");
    CHECK(Place{{4096, 512}, 0, "xfs", "", {}}.text() == "512 bytes at 4096 (xfs)");
    CHECK(Place{{0, 1}, 2, "ext3", "", {"/a", "/b"}}.text() ==
          "1 bytes at 0 (partition 2, ext3: /a, /b)");
}

TEST_CASE("free space, metadata and the journal are told apart") {
    for (const Kind& kind : kinds) {
        CAPTURE(kind.type);
        CAPTURE(kind.block);
        const PartitionedImage image(kind);
        const std::string free = image.debugfs("ffb 1 20000");
        const std::size_t number = free.find(": ");
        REQUIRE(number != std::string::npos);
        CHECK(image.holders(image.range_of(std::stoull(free.substr(number + 2)))) ==
              Names{"free space"});
        CHECK(image.holders({start, 512}) == Names{"metadata"});         // boot block
        CHECK(image.holders({start + 1024, 1024}) == Names{"metadata"}); // superblock
        for (const char* table : {"block bitmap at ", "inode bitmap at ", "inode table at "}) {
            CAPTURE(table);
            CHECK(image.holders(image.range_of(image.statistic(table))) == Names{"metadata"});
        }
        if (kind.type != "ext2") {
            CHECK(image.holders(image.range_of(image.blocks("<8>").back())) ==
                  Names{"the journal"});
        }
    }
}

TEST_CASE("a range over several files names them all") {
    const PartitionedImage image({"ext4", 4096});
    std::map<std::uint64_t, std::string> files;
    for (int i = 0; i < 20; ++i) {
        const std::string name = fmt::format("/tmp/{}", i);
        files[image.blocks(name).front()] = name;
    }
    const auto neighbours = std::ranges::adjacent_find(
        files, [](const auto& one, const auto& next) { return one.first + 1 == next.first; });
    REQUIRE(neighbours != files.end());
    const Names names = image.holders({image.range_of(neighbours->first).end() - 1, 2});
    CHECK(names.size() == 2);
    CHECK(std::ranges::count(names, neighbours->second) == 1);
    CHECK(std::ranges::count(names, std::next(neighbours)->second) == 1);
}

TEST_CASE("a range over most of a file system names some and says that there are others") {
    const PartitionedImage image({"ext4", 4096});
    const Range first = image.range_of(image.blocks("/etc/hosts").front());
    const Names names = image.holders({first.offset, start + fs_size - first.offset});
    CHECK(names.size() == 10);
    CHECK(names[8] == "others");
    CHECK(names[9] == "free space");
}

TEST_CASE("names that a terminal would act on are made harmless") {
    const PartitionedImage image({"ext4", 4096});
    // debugfs takes no escape in a name: the inode by its neighbour's.
    std::istringstream listing(image.debugfs("ls -p /etc"));
    std::string inode;
    for (std::string line; std::getline(listing, line);) {
        if (contains(line, "name with")) {
            inode = line.substr(1, line.find('/', 1) - 1);
        }
    }
    REQUIRE_FALSE(inode.empty());
    CHECK(image.holders(image.range_of(image.blocks("<" + inode + ">").front())) ==
          Names{"/etc/name with?[2J"});
}

TEST_CASE("a range over several partitions is cut at their borders") {
    const PartitionedImage image({"ext4", 4096});
    const std::vector<Place> places = places_of(image.path(), {{0, 40 * mib}}, seconds(60), {});
    const std::vector<Range> expected{{0, mib},
                                      {mib, 24 * mib},
                                      {25 * mib, mib},
                                      {26 * mib, 4 * mib},
                                      {30 * mib, 2 * mib},
                                      {32 * mib, mib},
                                      {33 * mib, 7 * mib}};
    REQUIRE(places.size() == expected.size());
    const std::vector<unsigned> partitions{0, 1, 0, 2, 0, 3, 0};
    for (std::size_t i = 0; i < places.size(); ++i) {
        CAPTURE(i);
        CHECK(places[i].range == expected[i]);
        CHECK(places[i].partition == partitions[i]);
        CHECK((places[i].holders == Names{"outside the partitions"}) == (partitions[i] == 0));
    }
}

TEST_CASE("a file system without a partition table is looked into as well") {
    const TemporaryDirectory directory;
    fs::create_directories(directory / "root");
    put(directory / "root/data", 50'000);
    const fs::path path = directory / "image";
    create_image(path, 8 * mib);
    run_checked({.argv = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d",
                          (directory / "root").string(), path.string()}});
    const std::string block =
        run_checked({.argv = {"debugfs", "-R", "bmap /data 5", path.string()}}).out;
    const std::vector<Place> places =
        places_of(path, {{std::stoull(block) * 4096, 4096}}, seconds(60), {});
    REQUIRE(places.size() == 1);
    CHECK(places[0].text() ==
          fmt::format("4096 bytes at {} (ext4: /data)", std::stoull(block) * 4096));
}

TEST_CASE("a block of a file without a name is its inode") {
    const PartitionedImage image({"ext4", 4096});
    const std::uint64_t file = image.blocks("/tmp/5").front();
    image.overwrite(image.range_of(image.blocks("/tmp").front()), '\0');
    const Names names = image.holders(image.range_of(file));
    REQUIRE(names.size() == 1);
    CHECK(names[0].starts_with("inode "));
}

TEST_CASE("a bitmap that could not be read does not make its blocks free") {
    const PartitionedImage image({"ext4", 4096});
    const Range bitmap = image.range_of(image.statistic("block bitmap at "));
    const Range file = image.range_of(image.blocks("/etc/hosts").front());
    image.overwrite(bitmap, '\0');
    REQUIRE(bitmap.offset < file.offset);
    const std::vector<Place> places = places_of(image.path(), {bitmap, file}, seconds(60), {});
    REQUIRE(places.size() == 2);
    CHECK(places[0].holders == Names{"metadata"});
    CHECK(places[1].holders == Names{"/etc/hosts"});
}

TEST_CASE("without time a place has no holders") {
    const PartitionedImage image({"ext4", 4096});
    const Range range = image.range_of(image.blocks("/etc/hosts").front());
    const std::vector<Place> places = places_of(image.path(), {range}, seconds(0), {});
    REQUIRE(places.size() == 1);
    CHECK(places[0].partition == 1);
    CHECK(places[0].label == "root");
    CHECK(places[0].holders.empty());
}

TEST_CASE("a stop ends the search for places") {
    const PartitionedImage image({"ext4", 4096});
    std::stop_source source;
    source.request_stop();
    const Error error = thrown_by([&] {
        static_cast<void>(places_of(image.path(), {{start, 512}}, seconds(60), source.get_token()));
    });
    CHECK(error.status() == ExitStatus::interrupted);
}

TEST_CASE("clusters of several blocks are looked into as well") {
    const PartitionedImage image({"ext4", 4096}, {"-O", "bigalloc", "-C", "16384"});
    CHECK(image.holders(image.range_of(image.blocks("/etc/hosts").front())) == Names{"/etc/hosts"});
    CHECK(image.holders({start, 512}) == Names{"metadata"});
}

TEST_CASE("a disk that holds nothing known, or is not there, has places without names") {
    const TemporaryDirectory directory;
    create_image(directory / "image", 8 * mib);
    for (const fs::path& path : {directory / "image", directory / "nowhere", directory.path()}) {
        CAPTURE(path);
        const std::vector<Place> places =
            places_of(path, {{4096, 512}, {mib, 1024}}, seconds(60), {});
        REQUIRE(places.size() == 2);
        CHECK(places[0].text() == "512 bytes at 4096");
        CHECK(places[1].text() == "1024 bytes at 1048576");
    }
}

TEST_CASE("a file system that is damaged anywhere is looked at without harm") {
    for (const Kind& kind : kinds) {
        CAPTURE(kind.type);
        const PartitionedImage image(kind);
        const Range file = image.range_of(image.blocks("/srv/mail/user/alice/inbox").back());
        unsigned state = 1;
        for (int round = 0; round < 20; ++round) {
            for (int hit = 0; hit < 20; ++hit) {
                state = state * 1'103'515'245U + 12'345U;
                const std::uint64_t at = start + 2048 + (state >> 8U) % (2 * mib);
                image.overwrite({at, 64}, static_cast<char>(state >> 16U));
            }
            const std::vector<Place> places =
                places_of(image.path(), {file, {file.end(), 4096}}, seconds(2), {});
            CHECK(places.size() == 2);
        }
    }
}

} // namespace coldspare::clone
