#include "clone/mapped_disk.hpp"

#include "clone/masked_disk.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/memory_disk.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <memory>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t mebibyte = 1 << 20;

std::vector<std::byte> only_bytes(std::size_t count, unsigned value) {
    return std::vector<std::byte>(count, static_cast<std::byte>(value));
}

/// Source sectors 0-8 kept, 9-20 at their place, 21-30 a page up, the rest not wanted.
DiskView small_view() {
    return {.size = 32768,
            .moves = {{{9 * 512, 12 * 512}, 9 * 512}, {{21 * 512, 10 * 512}, 21 * 512 + 4096}},
            .kept = {{0, only_bytes(9 * 512, 0xAA)}}};
}

struct Shown {
    MemoryDisk* below = nullptr;
    std::unique_ptr<MappedDisk> disk;
};
Shown show(const DiskView& view) {
    auto memory = std::make_unique<MemoryDisk>(65536, std::byte{0xEE});
    MemoryDisk* below = memory.get();
    return {below, std::make_unique<MappedDisk>(std::move(memory), view)};
}

bool all(std::span<const std::byte> bytes, unsigned value) {
    return std::ranges::all_of(
        bytes, [value](std::byte byte) { return byte == static_cast<std::byte>(value); });
}

} // namespace

TEST_CASE("a disk whose bytes are moved does what every disk does") {
    require_disk_conformance([](std::uint64_t size) -> std::unique_ptr<Disk> {
        // Two moves that meet in the middle of a page, the second one a MiB and a page up.
        const std::uint64_t first = std::min<std::uint64_t>(size, size > 8192 ? 4096 + 1536 : size);
        DiskView view{.size = size, .moves = {{{0, first}, 0}}};
        if (first < size) {
            view.moves.push_back({{first, size - first}, first + mebibyte + 4096});
        }
        REQUIRE(fault_of(view).empty());
        return std::make_unique<MappedDisk>(
            std::make_unique<MemoryDisk>(static_cast<std::size_t>(size + 3 * mebibyte),
                                         std::byte{0xEE}),
            view);
    });
}

TEST_CASE("what is moved lies where it was moved to, and nothing beside it is touched") {
    const Shown shown = show(small_view());
    AlignedBuffer buffer(32768);
    std::ranges::fill(buffer.span(), std::byte{0x11});
    std::ranges::fill(buffer.first(9 * 512), std::byte{0xAA});
    shown.disk->write(0, buffer.span());
    const std::span<const std::byte> below(shown.below->content());
    CHECK(all(below.first(9 * 512), 0xEE));
    CHECK(all(below.subspan(9 * 512, 12 * 512), 0x11));
    CHECK(all(below.subspan(21 * 512, 4096), 0xEE));
    CHECK(all(below.subspan(21 * 512 + 4096, 10 * 512), 0x11));
    CHECK(all(below.subspan(31 * 512 + 4096), 0xEE));

    shown.disk->read(0, buffer.span());
    CHECK(all(buffer.first(9 * 512), 0xAA));
    CHECK(all(buffer.span().subspan(9 * 512, 22 * 512), 0x11));
    CHECK(all(buffer.span().subspan(31 * 512), 0));
}

TEST_CASE("zeros reach what is moved and nothing else") {
    const Shown shown = show(small_view());
    shown.disk->zero(8192, 32768 - 8192);
    const std::span<const std::byte> below(shown.below->content());
    CHECK(all(below.first(8192), 0xEE));
    CHECK(all(below.subspan(8192, 21 * 512 - 8192), 0));
    CHECK(all(below.subspan(21 * 512, 4096), 0xEE));
    CHECK(all(below.subspan(21 * 512 + 4096, 10 * 512), 0));
    CHECK(all(below.subspan(31 * 512 + 4096), 0xEE));
}

TEST_CASE("a table that is not the one of the plan any more is an error") {
    const Shown shown = show(small_view());
    AlignedBuffer buffer(4096);
    std::ranges::fill(buffer.span(), std::byte{0xAA});
    CHECK_NOTHROW(shown.disk->write(0, buffer.span()));
    buffer.span()[100] = std::byte{0};
    CHECK(thrown_by([&] { shown.disk->write(0, buffer.span()); }).message() ==
          "the source's partition table at 0 has changed since the copy was planned");
    CHECK_THROWS_AS(shown.disk->zero(0, 4096), Error);
    CHECK(shown.below->untouched());
}

TEST_CASE("a target that was cut off is not shown") {
    DiskView view = small_view();
    view.moves.back().target = 65536;
    CHECK_THROWS_AS(show(view), Error);
}

TEST_CASE("a view from outside is looked at closely") {
    CHECK(fault_of(small_view()).empty());
    const auto changed = [](auto change) {
        DiskView view = small_view();
        change(view);
        return std::string(fault_of(view));
    };
    CHECK(changed([](DiskView& view) { view.moves[0].target += 512; }) ==
          "its view has an impossible move");
    CHECK(changed([](DiskView& view) { view.moves[1].source.length = 32768; }) ==
          "its view has an impossible move");
    CHECK(changed([](DiskView& view) { view.moves[1].target = 21 * 512 - 4096; }) ==
          "its view has two bytes at one place");
    CHECK(changed([](DiskView& view) { view.moves[0].source.length += 512; }) ==
          "its view has two bytes at one place");
    CHECK(changed([](DiskView& view) { view.kept[0].offset = 512 * 60; }) ==
          "its view keeps impossible bytes");
    CHECK(changed([](DiskView& view) { std::swap(view.moves[0], view.moves[1]); }) ==
          "its view is not in order");
    CHECK(changed([](DiskView& view) { view.size = 0; }) == "its view is too large");
}

TEST_CASE("where things lie on the target is told in parts") {
    CHECK(small_view().on_target({{0, 32768}}) ==
          std::vector<Range>{{9 * 512, 12 * 512}, {21 * 512 + 4096, 10 * 512}});
    CHECK(small_view().on_target({{0, 512}}).empty());
}

TEST_CASE("what is masked is zeros and is not read") {
    MemoryDisk disk(65536, std::byte{0xEE});
    MaskedDisk masked(disk, {{512, 1024}, {16384, 32768}});
    AlignedBuffer buffer(65536);
    masked.read(0, buffer.span());
    CHECK(all(buffer.first(512), 0xEE));
    CHECK(all(buffer.span().subspan(512, 1024), 0));
    CHECK(all(buffer.span().subspan(1536, 16384 - 1536), 0xEE));
    CHECK(all(buffer.span().subspan(16384, 32768), 0));
    CHECK(all(buffer.span().subspan(49152), 0xEE));
    CHECK(disk.reads() == std::vector<Range>{{0, 512}, {1536, 14848}, {49152, 16384}});
    CHECK(masked.extent_at(0).length == 512);
    CHECK_FALSE(masked.extent_at(0).zero);
    CHECK(masked.extent_at(20000).zero);
    CHECK(masked.extent_at(20000).length == 49152 - 20000);
    CHECK_FALSE(masked.extent_at(50000).zero);
    const std::unique_ptr<DiskQueue> queue = masked.open_queue(2);
    for (const std::uint64_t offset : {0U, 49152U}) {
        queue->read(0, offset, buffer.first(4096));
        CHECK_FALSE(queue->wait().error.has_value());
        CHECK(all(buffer.span().subspan(1536, 2560), 0xEE));
        CHECK(all(buffer.span().subspan(512, 1024), offset == 0 ? 0 : 0xEE));
    }
    CHECK_THROWS_AS(masked.write(0, buffer.first(4096)), Error);
}

} // namespace coldspare::clone
