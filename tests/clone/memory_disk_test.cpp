#include "tests/support/memory_disk.hpp"

#include "tests/support/disk_conformance.hpp"
#include "tests/support/faulty_disk.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone {

TEST_CASE("a disk in memory behaves like a disk") {
    require_disk_conformance(
        [](std::uint64_t size) { return std::make_unique<MemoryDisk>(size, conformance::dirt); });
}

TEST_CASE("a faulty disk without faults behaves like a disk") {
    std::unique_ptr<MemoryDisk> inner;
    require_disk_conformance([&](std::uint64_t size) {
        inner = std::make_unique<MemoryDisk>(size, conformance::dirt);
        return std::make_unique<FaultyDisk>(*inner, Faults{});
    });
}

TEST_CASE("a faulty disk fails where it is told to and nowhere else") {
    MemoryDisk inner(65536, conformance::dirt);
    FaultyDisk disk(inner, {.read_at = 5000, .write_at = 9000, .flush = true});
    AlignedBuffer buffer(4096);
    CHECK_NOTHROW(disk.read(0, buffer.span()));
    CHECK_THROWS_WITH_AS(disk.read(4096, buffer.span()),
                         "reading 'memory' at 4096: cannot read: Input/output error", Error);
    CHECK_NOTHROW(disk.write(4096, buffer.span()));
    CHECK_THROWS_AS(disk.write(8192, buffer.span()), Error);
    CHECK_THROWS_AS(disk.zero(0, 65536), Error);
    CHECK_THROWS_AS(disk.flush(), Error);
}

} // namespace coldspare::clone
