#include "clone/salvage.hpp"

#include "base/error.hpp"
#include "clone/buffer.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/faulty_disk.hpp"
#include "tests/support/memory_disk.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <string>

namespace coldspare::clone {

namespace {

using std::chrono::seconds;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t sector = 512;

/// A failing disk, and a clock that moves when it fails.
class FailingDisk {
public:
    FailingDisk(std::uint64_t size, std::vector<Range> unreadable, seconds a_failure_takes = {})
        : memory_(patterned(size)),
          faulty_(memory_,
                  {.unreadable = std::move(unreadable),
                   .on_failed_read = [this, a_failure_takes] { now_ += a_failure_takes; }}) {}

    [[nodiscard]] MemoryDisk& memory() { return memory_; }
    [[nodiscard]] FaultyDisk& faulty() { return faulty_; }
    [[nodiscard]] SalvageOptions options() {
        return {.now = [this] { return now_; }};
    }
    [[nodiscard]] TimePoint now() const { return now_; }
    [[nodiscard]] std::size_t good_reads() const { return memory_.reads().size(); }
    [[nodiscard]] std::size_t bad_reads() const { return faulty_.failed_reads().size(); }

private:
    static std::vector<std::byte> patterned(std::uint64_t size) {
        std::vector<std::byte> bytes(static_cast<std::size_t>(size));
        fill_pattern(bytes, 0);
        return bytes;
    }

    TimePoint now_{std::chrono::hours(1)};
    MemoryDisk memory_;
    FaultyDisk faulty_;
};

/// Salvages a piece, and checks that the buffer is what the answer says: zeros in what is bad, and
/// the disk's bytes (never zero) elsewhere.
Salvage salvaged(FailingDisk& disk, Range piece, const SalvageOptions& options) {
    AlignedBuffer buffer(static_cast<std::size_t>(piece.length));
    std::ranges::fill(buffer.span(), std::byte{0xEE});
    Salvage result = salvage(disk.faulty(), piece.offset, buffer.span(), options, {});
    std::vector<std::byte> expected(buffer.size());
    fill_pattern(expected, piece.offset);
    for (const Range& bad : result.bad) {
        REQUIRE(bad.offset >= piece.offset);
        REQUIRE(bad.end() <= piece.end());
        std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(bad.offset - piece.offset),
                    bad.length, std::byte{0});
    }
    CHECK(same_bytes(buffer.span(), expected));
    return result;
}

Salvage salvaged(FailingDisk& disk, Range piece) {
    return salvaged(disk, piece, disk.options());
}

} // namespace

TEST_CASE("of one bad sector in 1 MiB all else is read, in 40 reads of which 3 fail") {
    for (const std::uint64_t at : {0U, 512U, 500'000U, 1'048'575U}) {
        CAPTURE(at);
        FailingDisk disk(3 * mib, {{mib + at, 1}});
        const Salvage result = salvaged(disk, {mib, mib});
        CHECK(result.bad == std::vector<Range>{{mib + at / sector * sector, sector}});
        CHECK_FALSE(result.gave_up);
        // 16 of 64 KiB, 16 of 4 KiB, 8 sectors.
        CHECK(disk.good_reads() == 37);
        CHECK(disk.bad_reads() == 3);
    }
}

TEST_CASE("of a disk that reads after all everything is there") {
    FailingDisk disk(2 * mib, {});
    const Salvage result = salvaged(disk, {mib, mib});
    CHECK(result.bad.empty());
    CHECK_FALSE(result.gave_up);
    CHECK(disk.good_reads() == 16);
}

TEST_CASE("a MiB of which nothing can be read is one bad range, in 2096 reads") {
    FailingDisk disk(3 * mib, {{mib, mib}});
    const Salvage result = salvaged(disk, {mib, mib});
    CHECK(result.bad == std::vector<Range>{{mib, mib}});
    CHECK_FALSE(result.gave_up);
    CHECK(disk.good_reads() == 0);
    CHECK(disk.bad_reads() == 16 + 16 * 2 + 2048);
}

TEST_CASE("a scratch is read up to both its edges") {
    const Range scratch{mib + 100 * kib + sector, 300 * kib};
    FailingDisk disk(3 * mib, {scratch});
    const Salvage result = salvaged(disk, {mib, mib});
    CHECK(result.bad == std::vector<Range>{scratch});
}

TEST_CASE("several bad sectors are told apart, and what touches is joined") {
    FailingDisk disk(
        mib, {{0, 1}, {sector, 1}, {4 * sector, 1}, {200 * kib, 4 * kib}, {mib - sector, sector}});
    const Salvage result = salvaged(disk, {0, mib});
    CHECK(result.bad ==
          std::vector<Range>{
              {0, 2 * sector}, {4 * sector, sector}, {200 * kib, 4 * kib}, {mib - sector, sector}});
}

TEST_CASE("bad sectors across a border of 64 KiB are one range") {
    FailingDisk disk(mib, {{64 * kib - sector, 2 * sector}});
    CHECK(salvaged(disk, {0, mib}).bad == std::vector<Range>{{64 * kib - sector, 2 * sector}});
}

TEST_CASE("no byte is read again once it is there") {
    FailingDisk disk(mib, {{100'000, 1}, {300'000, 70'000}, {900'000, 5}});
    const Salvage result = salvaged(disk, {0, mib});
    const std::uint64_t good = std::accumulate(
        disk.memory().reads().begin(), disk.memory().reads().end(), std::uint64_t{0},
        [](std::uint64_t sum, Range range) { return sum + range.length; });
    const std::uint64_t bad =
        std::accumulate(result.bad.begin(), result.bad.end(), std::uint64_t{0},
                        [](std::uint64_t sum, Range range) { return sum + range.length; });
    CHECK(good + bad == mib);
}

TEST_CASE("the odd tail of an image is salvaged too") {
    const std::uint64_t size = mib + 70 * kib + 1000;
    for (const Range bad : {Range{size - 1, 1}, Range{size - 600, 1}, Range{size - 488, 1},
                            Range{mib + 2 * kib, 1}}) {
        CAPTURE(bad.offset);
        FailingDisk disk(size, {bad});
        const Salvage result = salvaged(disk, {mib, size - mib});
        const std::uint64_t begin = bad.offset / sector * sector;
        CHECK(result.bad == std::vector<Range>{{begin, std::min(sector, size - begin)}});
    }
}

TEST_CASE("a tail that is less than a sector is read or bad as a whole") {
    FailingDisk disk(mib + 3, {{mib + 1, 1}});
    const Salvage result = salvaged(disk, {mib, 3});
    CHECK(result.bad == std::vector<Range>{{mib, 3}});
    CHECK(disk.bad_reads() == 3);
}

TEST_CASE("reads are aligned to the disk's sectors") {
    FailingDisk disk(2 * mib, {{mib + 5000, 1}, {mib + 700'000, 9000}});
    disk.memory().facts().logical_sector = 4096;
    const Salvage result = salvaged(disk, {mib, mib});
    CHECK(result.bad == std::vector<Range>{{mib + 4096, 4096}, {mib + 696'320, 16'384}});
    for (const Range& read : disk.memory().reads()) {
        CHECK(read.offset % 4096 == 0);
        CHECK(read.length % 4096 == 0);
    }
}

TEST_CASE("a sector that can be read at the third try is read with two retries") {
    for (const unsigned retries : {0U, 1U, 2U, 3U}) {
        CAPTURE(retries);
        FailingDisk disk(mib, {{5 * sector, 1}});
        int tries = 0;
        disk.faulty().faults().on_failed_read = [&] {
            const bool sector_read = disk.faulty().failed_reads().back().length == sector;
            if (sector_read && ++tries == 2) {
                disk.faulty().faults().unreadable.clear();
            }
        };
        SalvageOptions options = disk.options();
        options.retries = retries;
        const Salvage result = salvaged(disk, {0, mib}, options);
        CHECK(result.bad.empty() == (retries >= 2));
    }
}

TEST_CASE("each bad sector is tried once more for each retry") {
    FailingDisk disk(mib, {{8 * kib, 2 * kib}});
    SalvageOptions options = disk.options();
    options.retries = 3;
    CHECK(salvaged(disk, {0, mib}, options).bad == std::vector<Range>{{8 * kib, 2 * kib}});
    CHECK(std::ranges::count(disk.faulty().failed_reads(), sector, &Range::length) == 4 * 4);
}

TEST_CASE("when the time is used up what was not tried counts as bad") {
    FailingDisk disk(2 * mib, {{mib + 70'000, 1}}, seconds(25));
    const TimePoint start = disk.now();
    const Salvage result = salvaged(disk, {mib, mib});
    // Three failures: 64 KiB, 4 KiB, the sector. The last one was begun in time; then 3 sectors of
    // the 4 KiB are left untried.
    CHECK(disk.bad_reads() == 3);
    CHECK(disk.now() - start == seconds(75));
    CHECK(result.gave_up);
    REQUIRE(result.bad.size() == 1);
    CHECK(inside({mib + 70'000 / sector * sector - result.bad[0].offset, sector},
                 result.bad[0].length));
    CHECK(result.bad[0].length <= 4 * kib);
}

TEST_CASE("a slow scratch costs its piece two reads before everything around it is there") {
    FailingDisk disk(mib, {{300 * kib, 300 * kib}}, seconds(30));
    const Salvage result = salvaged(disk, {0, mib});
    CHECK(disk.bad_reads() == 2);
    CHECK(result.gave_up);
    CHECK(result.bad == std::vector<Range>{{256 * kib, 384 * kib}});
}

TEST_CASE("a disk that fails at once gives up nothing, however often it fails") {
    FailingDisk disk(mib, {{0, mib}});
    CHECK_FALSE(salvaged(disk, {0, mib}).gave_up);
}

TEST_CASE("without any time nothing is tried") {
    FailingDisk disk(mib, {});
    SalvageOptions options = disk.options();
    options.budget = seconds(0);
    options.retries = 5;
    const Salvage result = salvaged(disk, {0, mib}, options);
    CHECK(result.gave_up);
    CHECK(result.bad == std::vector<Range>{{0, mib}});
    CHECK(disk.good_reads() + disk.bad_reads() == 0);
}

TEST_CASE("a stop ends a salvage before the next read") {
    FailingDisk disk(mib, {{0, mib}});
    std::stop_source source;
    disk.faulty().faults().on_failed_read = [&] { source.request_stop(); };
    AlignedBuffer buffer(mib);
    const Error error = thrown_by([&] {
        static_cast<void>(
            salvage(disk.faulty(), 0, buffer.span(), disk.options(), source.get_token()));
    });
    CHECK(error.status() == ExitStatus::interrupted);
    CHECK(disk.bad_reads() == 1);
}

} // namespace coldspare::clone
