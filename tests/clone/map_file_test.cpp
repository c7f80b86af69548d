#include "clone/map_file.hpp"

#include "base/files.hpp"
#include "base/process.hpp"
#include "base/text.hpp"
#include "clone/disk.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <string>
#include <vector>

namespace coldspare::clone {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t tib = std::uint64_t{1} << 40U;

MapFile map_of(std::uint64_t size, std::span<const Range> bad) {
    return {size, bad, "coldspare 1.2.3", "2026-11-22T03:05:14Z"};
}

/// The ranges that ddrescuelog finds with one of the statuses, in blocks of one byte.
std::vector<Range> listed(const fs::path& path, const std::string& statuses) {
    const ProcessResult result =
        run_checked({.argv = {"ddrescuelog", "-b1", "-l" + statuses, path.string()}});
    std::vector<Range> ranges;
    for (const std::string_view line : split_lines(result.out)) {
        const std::uint64_t byte = std::stoull(std::string(line));
        if (!ranges.empty() && ranges.back().end() == byte) {
            ++ranges.back().length;
        } else {
            ranges.push_back({byte, 1});
        }
    }
    return ranges;
}

} // namespace

TEST_CASE("a map file is what ddrescue's manual says") {
    const std::vector<Range> bad{{0x600, 0x400}, {0x10000000000, 0x200}};
    CHECK(map_file_text(map_of(2 * tib, bad)) == "# Mapfile. Created by coldspare 1.2.3\n"
                                                 "# 2026-11-22T03:05:14Z\n"
                                                 "# current_pos  current_status  current_pass\n"
                                                 "0x00000000     +               1\n"
                                                 "#      pos        size  status\n"
                                                 "0x00000000  0x00000600  +\n"
                                                 "0x00000600  0x00000400  -\n"
                                                 "0x00000a00  0xfffffff600  +\n"
                                                 "0x10000000000  0x00000200  -\n"
                                                 "0x10000000200  0xfffffffe00  +\n");
}

TEST_CASE("ddrescuelog finds in a map file the very ranges that are bad") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image.map";
    constexpr std::uint64_t size = 100'003;
    const std::vector<std::vector<Range>> table{
        {},          {{0, 512}}, {{512, 512}, {2048, 4096}}, {{99'840, 163}}, // the odd tail
        {{0, size}},
    };
    for (const std::vector<Range>& bad : table) {
        CAPTURE(bad.size());
        write_map_file(path, map_of(size, bad));
        CHECK(listed(path, "-") == bad);
        // Nothing is in any other state than bad or finished, and nothing is left out.
        CHECK(listed(path, "?*/").empty());
        CHECK(listed(path, "+-") == std::vector<Range>{{0, size}});
        const ProcessResult done = run_process({.argv = {"ddrescuelog", "-d", path.string()}});
        if (bad.empty()) {
            CHECK_FALSE(fs::exists(path)); // -d removes the map of a copy that is whole
        } else {
            CHECK(done.exit_code == 1);
            CHECK(fs::exists(path));
        }
    }
}

TEST_CASE("ddrescuelog counts what a map file of a large disk says") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image.map";
    const std::vector<Range> bad{{4096, 512}, {tib, 1024}, {2 * tib - 512, 512}};
    write_map_file(path, map_of(2 * tib, bad));
    const ProcessResult result =
        run_checked({.argv = {"ddrescuelog", "-t", path.string()}, .environment = {"LC_ALL=C"}});
    CHECK(contains(result.out, "current status: finished"));
    CHECK(contains(result.out, "mapfile extent:    2199 GB,  in      6 area(s)"));
    CHECK(contains(result.out, "bad-sector:     2048 B,  in      3 area(s)"));
    CHECK(contains(result.out, "non-tried:        0 B,  in      0 area(s)"));
    CHECK_NOTHROW(run_checked({.argv = {"ddrescuelog", "--show-status", path.string()}}));
}

TEST_CASE("ddrescue goes on with a map file and fills what was missing") {
    const TemporaryDirectory directory;
    std::string content(1 << 20, '\0');
    fill_pattern(std::as_writable_bytes(std::span(content)), 0);
    write_file_atomically(directory / "disk", content);
    const std::vector<Range> bad{{512, 1024}, {65'536, 4096}};
    std::string holes = content;
    for (const Range& range : bad) {
        holes.replace(range.offset, range.length, range.length, '\0');
    }
    write_file_atomically(directory / "image", holes);
    write_map_file(directory / "image.map", map_of(content.size(), bad));
    run_checked({.argv = {"ddrescue", "-q", "-r1", (directory / "disk").string(),
                          (directory / "image").string(), (directory / "image.map").string()}});
    CHECK(read_file(directory / "image", content.size()) == content);
}

TEST_CASE("a map file that cannot be written is named") {
    const Error error = thrown_by([] { write_map_file("/nowhere/image.map", map_of(1, {})); });
    CHECK(error.message().starts_with("writing the map of unreadable sectors: "));
    CHECK(contains(error.message(), "'/nowhere/"));
}

} // namespace coldspare::clone
