#include "clone/layout.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "clone/table_regions.hpp"
#include "tests/support/images.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace coldspare::clone {

namespace fs = std::filesystem;
using namespace images;

namespace {

constexpr std::uint64_t mebibyte = 1 << 20;
constexpr std::uint64_t sector = 512;
constexpr std::uint64_t size = 64 * mebibyte;

constexpr const char* dos = "label: dos\nlabel-id: 0x12345678\n"
                            "1 : start=2048, size=20480, type=83, bootable\n"
                            "2 : start=22528, size=40960, type=5\n"
                            "3 : start=63488, size=20480, type=7\n"
                            "5 : start=24576, size=8192, type=83\n"
                            "6 : start=34816, size=8192, type=8e\n";
constexpr const char* gpt = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n"
                            "first-lba: 2048\n"
                            "1 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n"
                            "2 : start=4133, size=40960, name=\"root\", attrs=LegacyBIOSBootable\n"
                            "4 : start=61440, size=20480, name=\"data\"\n";

SourceTable source_of(const fs::path& image) {
    const std::unique_ptr<Disk> disk = open_source(image, DirectIo::off);
    return {"source", disk->facts().size, disk->facts().logical_sector, regions_of(*disk)};
}

/// An image with the table of a script for sfdisk.
SourceTable source_with(const TemporaryDirectory& directory, const std::string& script) {
    const fs::path image = directory / "source.img";
    make(image, size);
    run_well({"sfdisk", "--quiet", image.string()}, script);
    return source_of(image);
}

LayoutTarget target_of(std::uint64_t bytes) {
    return {"target", bytes, 0};
}

std::vector<std::string> planned(const SourceTable& source, std::uint64_t bytes,
                                 const LayoutRequest& request = {}) {
    std::vector<std::string> lines = plan_layout(source, target_of(bytes), request).lines();
    lines.erase(lines.begin());
    return lines;
}

/// The table on a disk of its own, as sfdisk dumps it without what is the disk's.
std::string dumped(const TemporaryDirectory& directory, const TableRegions& table,
                   std::uint64_t bytes) {
    const fs::path image = directory / "target.img";
    make(image, bytes);
    for (const TableRegion& region : table) {
        overwrite(image, region.offset,
                  {reinterpret_cast<const char*>(region.bytes.data()), region.bytes.size()});
    }
    std::string text;
    const std::string dump = run_well({"sfdisk", "--dump", image.string()});
    for (const std::string_view line : split_lines(dump)) {
        const std::size_t colon = line.find(" : ");
        if (colon != std::string_view::npos) {
            text += std::string(line.substr(line.find("img") + 3)) + "\n";
        }
    }
    return text;
}

Error refused(const SourceTable& source, std::uint64_t bytes, const LayoutRequest& request = {}) {
    return thrown_by([&] { static_cast<void>(plan_layout(source, target_of(bytes), request)); });
}

} // namespace

TEST_CASE("on a target of equal size everything stays at its place, and the table its bytes") {
    const TemporaryDirectory directory;
    for (const char* script : {dos, gpt}) {
        const SourceTable source = source_with(directory, script);
        const Layout layout = plan_layout(source, target_of(size), {});
        for (const TableRegion& region : layout.table) {
            std::vector<std::byte> before(region.bytes.size());
            std::string text = bytes_at(directory / "source.img", region.offset, before.size());
            CHECK(text == std::string_view(reinterpret_cast<const char*>(region.bytes.data()),
                                           region.bytes.size()));
        }
        CHECK_FALSE(layout.view.moved());
        CHECK(fault_of(layout.view).empty());
        CHECK_NOTHROW(require_same_by_libparted(layout.source, layout.table, size));
    }
}

TEST_CASE("a logical partition that grows takes its container along, and the next ones move") {
    const TemporaryDirectory directory;
    const SourceTable source = source_with(directory, dos);
    CHECK(planned(source, size + 100 * mebibyte, {.grow = 5}) ==
          std::vector<std::string>{
              "partition 1 (0x83): sectors 2048-22527 (10.0 MiB)",
              "partition 2 (0x05, extended): sectors 22528-315391 (143.0 MiB), grows by 123.0 MiB",
              "partition 3 (0x07): sectors 315392-335871 (10.0 MiB), moves up by 123.0 MiB",
              "partition 5 (0x83): sectors 24576-284671 (127.0 MiB), grows by 123.0 MiB",
              "partition 6 (0x8e): sectors 286720-294911 (4.0 MiB), moves up by 123.0 MiB"});
    const Layout layout = plan_layout(source, target_of(size + 100 * mebibyte), {.grow = 5});
    CHECK(dumped(directory, layout.table, size + 100 * mebibyte) ==
          "1 : start=        2048, size=       20480, type=83, bootable\n"
          "2 : start=       22528, size=      292864, type=5\n"
          "3 : start=      315392, size=       20480, type=7\n"
          "5 : start=       24576, size=      260096, type=83\n"
          "6 : start=      286720, size=        8192, type=8e\n");
    CHECK(layout.grow == 5U);
}

TEST_CASE("an extended partition that grows leaves its logical ones alone") {
    const TemporaryDirectory directory;
    const SourceTable source = source_with(directory, dos);
    const Layout layout = plan_layout(source, target_of(size), {.grow = 2});
    CHECK(dumped(directory, layout.table, size) ==
          "1 : start=        2048, size=       20480, type=83, bootable\n"
          "2 : start=       22528, size=       88064, type=5\n"
          "3 : start=      110592, size=       20480, type=7\n"
          "5 : start=       24576, size=        8192, type=83\n"
          "6 : start=       34816, size=        8192, type=8e\n");
}

TEST_CASE("a primary partition that grows moves all logical ones with their tables") {
    const TemporaryDirectory directory;
    const SourceTable source = source_with(directory, dos);
    const Layout layout = plan_layout(source, target_of(size), {.grow = 1});
    CHECK(dumped(directory, layout.table, size) ==
          "1 : start=        2048, size=       67584, type=83, bootable\n"
          "2 : start=       69632, size=       40960, type=5\n"
          "3 : start=      110592, size=       20480, type=7\n"
          "5 : start=       71680, size=        8192, type=83\n"
          "6 : start=       81920, size=        8192, type=8e\n");
    CHECK(layout.view.moved());
}

TEST_CASE("an odd partition stays odd, and sgdisk finds the new GPT without a problem") {
    const TemporaryDirectory directory;
    const SourceTable source = source_with(directory, gpt);
    const std::uint64_t bytes = size + 3 * mebibyte + sector;
    CHECK(planned(source, bytes, {.grow = 2}) ==
          std::vector<std::string>{
              "partition 1 (21686148-6449-6E6F-744E-656564454649): sectors 2048-4095 (1.0 MiB)",
              "partition 2 (0FC63DAF-8483-4772-8E79-3D69D8477DE4 'root'): sectors 4133-98340 (46.0 "
              "MiB), grows by 26.0 MiB",
              "partition 4 (0FC63DAF-8483-4772-8E79-3D69D8477DE4 'data'): sectors 114688-135167 "
              "(10.0 MiB), moves up by 26.0 MiB"});
    const Layout layout = plan_layout(source, target_of(bytes), {.grow = 2});
    static_cast<void>(dumped(directory, layout.table, bytes));
    const std::string said = run_well({"sgdisk", "-v", (directory / "target.img").string()});
    CHECK(contains(said, "No problems found"));
}

TEST_CASE("only what was asked for is copied, and the rest is not wanted") {
    const TemporaryDirectory directory;
    const SourceTable source = source_with(directory, gpt);
    const Layout layout = plan_layout(source, target_of(size), {.only = {1, 4}});
    const std::uint64_t first = 2048 * sector;
    const std::uint64_t table = 34 * sector;
    CHECK(layout.view.moves == std::vector<Move>{{{table, first - table}, table},
                                                 {{first, mebibyte}, first},
                                                 {{30 * mebibyte, 10 * mebibyte}, 30 * mebibyte}});
    CHECK(layout.view.unwanted() ==
          std::vector<Range>{{2 * mebibyte, 28 * mebibyte},
                             {40 * mebibyte, size - 40 * mebibyte - 33 * sector}});
    CHECK(contains(layout.lines()[2], "its content is not copied"));
}

TEST_CASE(
    "a smaller target is taken if only free space is cut off, and else told what is in the way") {
    const TemporaryDirectory directory;
    const SourceTable source = source_with(directory, gpt);
    CHECK_NOTHROW(plan_layout(source, target_of(40 * mebibyte + 33 * sector), {}));
    const Error error = refused(source, 40 * mebibyte + 32 * sector);
    CHECK(error.status() == ExitStatus::refused);
    CHECK(error.message() ==
          "refusing to copy 'source' to 'target' partition by partition: partition 4 has sectors "
          "61440-81919, the target has room up to sector 81918");
    CHECK(error.hint() ==
          "choose a target with 512 bytes more, or shrink what lies there on the source first");
}

TEST_CASE("partitions that are not there are a usage error") {
    const TemporaryDirectory directory;
    const SourceTable source = source_with(directory, dos);
    const Error grow = refused(source, size, {.grow = 4});
    CHECK(grow.status() == ExitStatus::usage);
    CHECK(grow.message() == "--grow 4: the source has no partition 4");
    CHECK(grow.hint() == "it has 1, 2, 3, 5, 6");
    CHECK(refused(source, size, {.only = {1, 7}}).message() ==
          "--only 7: the source has no partition 7");
    CHECK(refused(source, size, {.only = {2}}).message() ==
          "--only 2: partition 2 is the extended one, which has nothing of its own");
}

TEST_CASE("a table that is in doubt is refused with its reason") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "source.img";
    const auto reason = [&] { return refused(source_of(image), size).message(); };
    const auto expect = [&](std::string_view text) {
        CHECK(reason() == "refusing to copy partition by partition: the source's partition table " +
                              std::string(text));
    };
    make(image, size);
    CHECK(source_of(image).regions.empty());
    expect("cannot be read");
    static_cast<void>(source_with(directory, gpt));
    overwrite(image, 1024 + 56, "X");
    expect("is damaged: the entries of its GPT do not match their checksum");
    overwrite(image, 512 + 40, "X");
    expect("is damaged: the header of its GPT does not match its checksum");
    static_cast<void>(source_with(directory, gpt));
    run_well({"sgdisk", "--hybrid", "2", image.string()});
    expect("is a hybrid: an MBR with partitions of its own beside a GPT, and both would have to be "
           "changed alike");
    static_cast<void>(source_with(directory, dos));
    overwrite(image, 446 + 8, std::string("\x00\x60\x00\x00", 4)); // partition 1 into 2
    expect("has partitions 1 and 2 that overlap");
    static_cast<void>(source_with(directory, dos));
    overwrite(image, 22528 * sector + 446 + 16 + 8, std::string(4, '\0')); // back to itself
    expect("has logical partitions in a circle, outside of their container, or more than 250");
    static_cast<void>(source_with(directory, dos));
    overwrite(image, 446 + 2 * 16 + 12, std::string("\x00\x00\x00\x01", 4));
    expect("has a partition 3 that ends past the end of the disk");
}

TEST_CASE("an MBR with a GPT that it does not protect is refused") {
    const TemporaryDirectory directory;
    static_cast<void>(source_with(directory, dos));
    overwrite(directory / "source.img", 512, "EFI PART");
    const SourceTable source = source_of(directory / "source.img");
    CHECK(
        contains(refused(source, size).message(), "a GPT lies beside it that it does not protect"));
}

TEST_CASE("sector sizes that differ are refused, and an image takes any") {
    const TemporaryDirectory directory;
    SourceTable source = source_with(directory, gpt);
    const Error error = thrown_by([&] {
        static_cast<void>(plan_layout(source, {"target", size, 4096}, {}));
    });
    CHECK(error.status() == ExitStatus::refused);
    CHECK(error.message() == "refusing to copy 'source' to 'target' partition by partition: the "
                             "source's table counts in sectors of 512 bytes, the target has 4096");
}

TEST_CASE("a whole disk with a GPT keeps every byte but its second table's place") {
    const TemporaryDirectory directory;
    const SourceTable source = source_with(directory, gpt);
    const std::uint64_t bytes = size + mebibyte;
    const std::optional<Layout> layout = plan_whole_disk(source, target_of(bytes));
    REQUIRE(layout.has_value());
    CHECK(layout->view.unwanted().empty());
    CHECK_FALSE(layout->view.moved());
    static_cast<void>(dumped(directory, layout->table, bytes));
    CHECK(contains(run_well({"sgdisk", "-v", (directory / "target.img").string()}),
                   "No problems found"));
    CHECK_FALSE(plan_whole_disk(source_with(directory, dos), target_of(bytes)).has_value());
}

} // namespace coldspare::clone
