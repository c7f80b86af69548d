#include "clone/seal.hpp"

#include "base/files.hpp"
#include "tests/support/faulty_disk.hpp"
#include "tests/support/memory_disk.hpp"
#include "tests/support/session.hpp"
#include "tests/support/temporary_directory.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

TEST_CASE("whatever is done to a file breaks its seal, and reading it does not") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, std::string(8192, 'x'));
    const std::string seal = seal_of(path);
    CHECK_FALSE(seal.empty());
    CHECK(read_file(path, 8192).size() == 8192);
    CHECK(seal_of(path) == seal);
    SUBCASE("a byte is written, and the time of change set back") {
        struct stat before {};
        REQUIRE(::stat(path.c_str(), &before) == 0);
        const Fd fd = open_file(path, O_RDWR);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        write_at(fd.get(), 5, as_byte_span("x"));
        const std::array<timespec, 2> times{before.st_atim, before.st_mtim};
        REQUIRE(::futimens(fd.get(), times.data()) == 0);
    }
    SUBCASE("it is another file") {
        write_file_atomically(path, std::string(8192, 'x'));
    }
    SUBCASE("it gets longer") {
        fs::resize_file(path, 8193);
    }
    CHECK(seal_of(path) != seal);
}

TEST_CASE("what proves nothing has no seal") {
    const TemporaryDirectory directory;
    CHECK(seal_of(directory / "nothing").empty());
    CHECK(seal_of(directory.path()).empty());
    CHECK(seal_of("/dev/null").empty());
}

TEST_CASE("samples see a disk that is another, and one that cannot be read") {
    const Geometry geometry{64 * 4096 + 100, 4096};
    MemoryDisk disk(random_bytes(geometry.size));
    std::vector<Leaf> leaves;
    for (std::uint64_t at = 0; at < geometry.size; at += geometry.block_size) {
        leaves.push_back(
            hash_block(std::span(disk.content())
                           .subspan(static_cast<std::size_t>(at), geometry.length_at(at))));
    }
    CHECK(samples_match(disk, geometry, leaves));
    FaultyDisk bad(disk, {.read_at = geometry.size - 1});
    CHECK_FALSE(samples_match(bad, geometry, leaves));
    SUBCASE("the first block") {
        disk.content().front() ^= std::byte{1};
    }
    SUBCASE("the last block") {
        disk.content().back() ^= std::byte{1};
    }
    SUBCASE("all between") { // 64 samples of 65: one in 10^115 misses them.
        for (std::size_t at = 4096; at < 63 * std::size_t{4096}; at += 4096) {
            disk.content()[at] ^= std::byte{1};
        }
    }
    CHECK_FALSE(samples_match(disk, geometry, leaves));
}

TEST_CASE("what is proved is told and not read, and what differs travels whole") {
    constexpr std::size_t size = (5 << 20) + 5003;
    MemoryDisk source(random_bytes(size));
    MemoryDisk target(source.content());
    SessionOptions options{.streams = 2, .durable = {{0, size}}, .mode = CopyMode::delta};
    for (std::size_t at = 0; at < size; at += default_block_size) {
        options.proved.push_back(
            hash_block(std::span(target.content())
                           .subspan(at, std::min<std::size_t>(default_block_size, size - at))));
    }
    options.target_faults.unreadable = {{0, size}};
    source.content()[(1 << 20) + 7] ^= std::byte{1};
    const Outcome outcome = run_session(source, target, options);
    require_copied(outcome, target, source.content());
    CHECK(outcome.received->trusted);
    CHECK(outcome.sent->bytes_sent == default_block_size);
}

} // namespace coldspare::clone
