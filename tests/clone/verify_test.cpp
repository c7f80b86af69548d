#include "clone/verify.hpp"

#include "clone/manifest.hpp"

#include "base/error.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/faulty_disk.hpp"
#include "tests/support/memory_disk.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <atomic>

namespace coldspare::clone {

namespace {

constexpr std::uint32_t block = 4096;
constexpr std::uint64_t size = (3 << 20) + 5 * block + 7;

MemoryDisk good_disk() {
    std::vector<std::byte> content(size);
    fill_pattern(content, 0);
    return MemoryDisk(std::move(content), "copy");
}

Manifest manifest_of(const MemoryDisk& disk) {
    Manifest manifest;
    manifest.geometry = {disk.content().size(), block};
    for (std::uint64_t at = 0; at < disk.content().size(); at += block) {
        manifest.leaves.push_back(
            hash_block(std::span(disk.content()).subspan(at, manifest.geometry.length_at(at))));
    }
    manifest.root = root_of(manifest.geometry, manifest.leaves);
    return manifest;
}

VerifyReport verify_quietly(Disk& disk, const Manifest& manifest) {
    return verify(disk, manifest.geometry, manifest.leaves, [](const Progress&) {}, {});
}

void damage(MemoryDisk& disk, std::uint64_t offset) {
    disk.content()[offset] ^= std::byte{1};
}

} // namespace

TEST_CASE("an intact copy has no wrong ranges and was read whole") {
    MemoryDisk disk = good_disk();
    const VerifyReport report = verify_quietly(disk, manifest_of(disk));
    CHECK(report.wrong.empty());
    CHECK(report.bytes_read == size);
    CHECK(report.name == "copy");
    CHECK_NOTHROW(require_intact(report));
}

TEST_CASE("neighbouring wrong blocks are told as one range") {
    MemoryDisk disk = good_disk();
    const Manifest manifest = manifest_of(disk);
    damage(disk, 5 * block + 1);
    damage(disk, 6 * block);
    damage(disk, 7 * block + 4095);
    damage(disk, 9 * block);
    damage(disk, size - 1);
    const VerifyReport report = verify_quietly(disk, manifest);
    CHECK(report.wrong ==
          std::vector<Range>{{5 * block, 3 * block}, {9 * block, block}, {size - 7, 7}});
}

TEST_CASE("wrong blocks on both sides of a piece are told as one range") {
    MemoryDisk disk = good_disk();
    const Manifest manifest = manifest_of(disk);
    damage(disk, (1 << 20) - 1);
    damage(disk, 1 << 20);
    CHECK(verify_quietly(disk, manifest).wrong ==
          std::vector<Range>{{(1 << 20) - block, 2 * block}});
}

TEST_CASE("a block that cannot be read is wrong and the rest is read on") {
    MemoryDisk disk = good_disk();
    const Manifest manifest = manifest_of(disk);
    FaultyDisk faulty(disk, {.read_at = (1 << 20) + 3 * block});
    const VerifyReport report = verify_quietly(faulty, manifest);
    CHECK(report.wrong == std::vector<Range>{{(1 << 20) + 3 * block, block}});
    CHECK(report.bytes_read == size);
}

TEST_CASE("what lies behind the clone on a larger disk does not count") {
    MemoryDisk disk = good_disk();
    const Manifest manifest = manifest_of(disk);
    std::vector<std::byte> content = disk.content();
    content.resize(size + 100'000, std::byte{0xEE});
    MemoryDisk larger(std::move(content));
    CHECK(verify_quietly(larger, manifest).wrong.empty());
}

TEST_CASE("a disk that is smaller than the clone is an error with both numbers") {
    MemoryDisk disk = good_disk();
    MemoryDisk smaller(1000, std::byte{0}, "cut");
    CHECK_THROWS_WITH_AS(static_cast<void>(verify_quietly(smaller, manifest_of(disk))),
                         "'cut' has 1000 bytes, its manifest describes 3166215", Error);
}

TEST_CASE("a stop ends reading back") {
    MemoryDisk disk = good_disk();
    std::stop_source source;
    source.request_stop();
    const Error error = thrown_by([&] {
        const Manifest manifest = manifest_of(disk);
        static_cast<void>(verify(
            disk, manifest.geometry, manifest.leaves, [](const Progress&) {}, source.get_token()));
    });
    CHECK(error.status() == ExitStatus::interrupted);
}

TEST_CASE("progress of reading back ends at the whole") {
    MemoryDisk disk = good_disk();
    std::uint64_t last = 0;
    const Manifest manifest = manifest_of(disk);
    static_cast<void>(verify(disk, manifest.geometry, manifest.leaves,
                             [&](const Progress& progress) {
                                 CHECK(progress.total == size);
                                 CHECK(progress.done > last);
                                 last = progress.done;
                             },
                             {}));
    CHECK(last == size);
}

TEST_CASE("the wrong ranges are listed and the hint says what to do") {
    const VerifyReport report{.name = "/dev/sdb", .wrong = {{4096, 8192}, {65536, 4096}}};
    const Error error = thrown_by([&] { require_intact(report); });
    CHECK(error.message() ==
          "'/dev/sdb' does not read back as it was written: 8192 bytes at 4096, 4096 bytes at "
          "65536");
    CHECK(error.hint() == "the medium is bad, or somebody wrote to it since: do not start the "
                          "copy, clone again");
    CHECK(error.status() == ExitStatus::failed);
}

TEST_CASE("of many wrong ranges ten are listed and the others counted") {
    VerifyReport report{.name = "x"};
    for (std::uint64_t i = 0; i < 13; ++i) {
        report.wrong.push_back({i * 8192, 4096});
    }
    const Error error = thrown_by([&] { require_intact(report); });
    CHECK(contains(error.message(), "4096 bytes at 73728 and 3 more ranges"));
}

} // namespace coldspare::clone
