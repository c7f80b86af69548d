#include "clone/disk_nbd.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/nbd_server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <string>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// Files of a directory as exports, of which each is named by its file.
struct Exports {
    TemporaryDirectory directory;
    NbdServer server;

    explicit Exports(const Words& filters = {}, const Words& parameters = {})
        : server(words(filters, parameters)) {}

    /// A new export with nothing but dirt.
    std::unique_ptr<Disk> dirty(std::uint64_t size) const {
        write_file_atomically(directory / "disk",
                              std::string(static_cast<std::size_t>(size), '\xEE'));
        return open_nbd(server.uri("disk"), NbdUse::write, DirectIo::automatic);
    }

private:
    Words words(Words filters, const Words& parameters) const {
        filters.insert(filters.end(), {"file", "dir=" + directory.path().string()});
        filters.insert(filters.end(), parameters.begin(), parameters.end());
        return filters;
    }
};

/// A disk of zeros, or one that fails, as nbdkit's shell callbacks say.
NbdServer made_of(Words callbacks) {
    callbacks.insert(callbacks.begin(), {"eval", "get_size=echo 1048576",
                                         "pread=dd if=/dev/zero bs=$3 count=1 status=none"});
    return NbdServer(std::move(callbacks));
}

std::unique_ptr<Disk> open(const NbdServer& server, NbdUse use) {
    return open_nbd(server.uri(), use, DirectIo::automatic);
}

} // namespace

TEST_CASE("an NBD export over several connections behaves like a disk") {
    const Exports exports;
    require_disk_conformance([&](std::uint64_t size) { return exports.dirty(size); });
}

TEST_CASE("an NBD export over one connection, with small requests, behaves like a disk") {
    const Exports exports(
        {"--filter=multi-conn", "--filter=blocksize-policy"},
        {"multi-conn-mode=disable", "blocksize-maximum=65536", "blocksize-error-policy=error"});
    require_disk_conformance([&](std::uint64_t size) { return exports.dirty(size); });
}

TEST_CASE("an NBD export with blocks of 4096 bytes and no zeroes command behaves like a disk") {
    const Exports exports({"--filter=blocksize-policy", "--filter=nozero"},
                          {"blocksize-minimum=4096", "blocksize-error-policy=error"});
    require_disk_conformance([&](std::uint64_t size) { return exports.dirty(size); },
                             {4096, 1 << 20, (5 << 20) + 8192});
}

TEST_CASE("the odd end of a disk fits into an export with larger blocks") {
    const Exports exports({"--filter=blocksize-policy"},
                          {"blocksize-minimum=4096", "blocksize-error-policy=error"});
    const std::unique_ptr<Disk> disk = exports.dirty(16384);
    AlignedBuffer bytes(8192);
    std::ranges::fill(bytes.span(), std::byte{1});
    const std::unique_ptr<DiskQueue> queue = disk->open_queue(1);
    queue->write(0, 0, bytes.first(4096 + 512));
    CHECK_FALSE(queue->wait().error.has_value());
    disk->zero(8192, 100);
    disk->flush();
    std::string expected(16384, '\xEE');
    expected.replace(0, 4608, std::string(4608, '\1'));
    expected.replace(8192, 100, std::string(100, '\0'));
    CHECK(read_file(exports.directory / "disk", 20'000) == expected);
}

TEST_CASE("zeros are holes of the image behind the server, and are not read again") {
    const Exports exports;
    const std::uint64_t size = 8 << 20;
    {
        const std::unique_ptr<Disk> disk = exports.dirty(size);
        disk->zero(1 << 20, 4 << 20);
        disk->flush();
    }
    const std::unique_ptr<Disk> disk =
        open_nbd(exports.server.uri("disk"), NbdUse::read, DirectIo::automatic);
    CHECK(disk->extent_at(0).length == 1 << 20);
    CHECK_FALSE(disk->extent_at(0).zero);
    CHECK(disk->extent_at(2 << 20).zero);
    CHECK(disk->extent_at(2 << 20).length == 3 << 20);
    CHECK_FALSE(disk->extent_at(5 << 20).zero);
}

TEST_CASE("a hole that is not said to read as zeros is read") {
    const NbdServer server = made_of({"extents=echo 0 1048576 hole"});
    const Extent extent = open(server, NbdUse::read)->extent_at(65536);
    CHECK_FALSE(extent.zero);
    CHECK(extent.length == 1048576 - 65536);
    const NbdServer zeros = made_of({"extents=echo 0 1048576 hole,zero"});
    CHECK(open(zeros, NbdUse::read)->extent_at(65536).zero);
}

TEST_CASE("a server that turns further connections away is used over one") {
    const NbdServer server({"--filter=limit", "memory", "1M", "limit=1"});
    const std::unique_ptr<Disk> disk = open(server, NbdUse::write);
    const std::unique_ptr<DiskQueue> one = disk->open_queue(1);
    const std::unique_ptr<DiskQueue> other = disk->open_queue(1);
    AlignedBuffer buffer(4096);
    fill_pattern(buffer.span(), 0);
    one->write(0, 0, buffer.span());
    CHECK_FALSE(one->wait().error.has_value());
    AlignedBuffer back(4096);
    other->read(0, 0, back.span());
    CHECK_FALSE(other->wait().error.has_value());
    CHECK(same_bytes(buffer.span(), back.span()));
}

TEST_CASE("an export that is a source cannot be written to") {
    const Exports exports;
    static_cast<void>(exports.dirty(65536));
    const std::unique_ptr<Disk> disk =
        open_nbd(exports.server.uri("disk"), NbdUse::read, DirectIo::automatic);
    AlignedBuffer buffer(4096);
    CHECK_THROWS_AS(disk->write(0, buffer.span()), Error);
    CHECK_THROWS_AS(disk->zero(0, 4096), Error);
    const std::unique_ptr<DiskQueue> queue = disk->open_queue(1);
    queue->write(0, 0, buffer.span());
    CHECK(queue->wait().error.has_value());
    CHECK(read_file(exports.directory / "disk", 100'000) == std::string(65536, '\xEE'));
}

TEST_CASE("the facts of an export are its URI, its size and the sectors of its table") {
    const Exports exports;
    std::string content(16384, '\0');
    content.replace(4096, 8, "EFI PART");
    write_file_atomically(exports.directory / "disk", content);
    const std::string uri = exports.server.uri("disk");
    const DiskFacts facts = read_disk_facts(uri);
    CHECK(facts.name == uri);
    CHECK(facts.kind == DiskKind::nbd);
    CHECK(facts.size == content.size());
    CHECK(facts.logical_sector == 4096);
    CHECK(overlap(facts, read_disk_facts(uri)));
    write_file_atomically(exports.directory / "other", content);
    CHECK_FALSE(overlap(facts, read_disk_facts(exports.server.uri("other"))));
}

TEST_CASE("a target that its server offers for reading only is refused") {
    const NbdServer server({"--readonly", "memory", "1M"});
    const Error error = thrown_by([&] { static_cast<void>(open(server, NbdUse::write)); });
    CHECK(error.message() == fmt::format("refusing to write to '{}': its server offers it for "
                                         "reading only",
                                         server.uri()));
    CHECK(error.status() == ExitStatus::refused);
    CHECK_NOTHROW(static_cast<void>(open(server, NbdUse::read)));
}

TEST_CASE("a target whose server knows no flush is refused") {
    const NbdServer server = made_of({"pwrite=cat >/dev/null"});
    const Error error = thrown_by([&] { static_cast<void>(open(server, NbdUse::write)); });
    CHECK(error.message() == fmt::format("refusing to write to '{}': its server knows no flush, so "
                                         "nothing would be known to be on its medium",
                                         server.uri()));
    CHECK(error.status() == ExitStatus::refused);
    CHECK_NOTHROW(static_cast<void>(open(server, NbdUse::read)));
}

TEST_CASE("an export whose blocks are larger than those of any disk is refused") {
    const NbdServer server({"--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=65536",
                            "blocksize-preferred=65536"});
    CHECK_THROWS_WITH_AS(static_cast<void>(open(server, NbdUse::read)),
                         fmt::format("cannot use '{}': its server reads and writes blocks of 65536 "
                                     "bytes and more, and it has 1048576 bytes",
                                     server.uri())
                             .c_str(),
                         Error);
}

TEST_CASE("what the storage behind a server cannot do is told with its reason") {
    const NbdServer server =
        made_of({"pwrite=cat >/dev/null; echo ENOSPC full >&2; exit 1",
                 "flush=echo EIO >&2; exit 1", "can_zero=exit 0", "zero=echo EIO >&2; exit 1"});
    const std::unique_ptr<Disk> disk = open(server, NbdUse::write);
    AlignedBuffer buffer(4096);
    CHECK(thrown_by([&] { disk->write(4096, buffer.span()); }).message() ==
          fmt::format("writing '{}' at 4096 (4.0 KiB): No space left on device", server.uri()));
    CHECK(thrown_by([&] { disk->zero(4096, 4096); }).message() ==
          fmt::format("zeroing '{}' at 4096 (4.0 KiB): Input/output error", server.uri()));
    const Error error = thrown_by([&] { disk->flush(); });
    CHECK(error.message() ==
          fmt::format("cannot flush '{}' to its medium: Input/output error", server.uri()));
    CHECK(error.status() == ExitStatus::failed);
}

TEST_CASE("a lost server is an error, and stays one for whatever comes after it") {
    NbdServer server({"memory", "1M"});
    const std::unique_ptr<Disk> disk = open(server, NbdUse::write);
    const std::unique_ptr<DiskQueue> queue = disk->open_queue(2);
    AlignedBuffer buffer(4096);
    queue->write(0, 0, buffer.span());
    static_cast<void>(queue->wait());
    server.end();
    queue->write(0, 0, buffer.span());
    queue->read(1, 4096, buffer.span());
    for (int i = 0; i < 2; ++i) {
        const DiskQueue::Done done = queue->wait();
        REQUIRE(done.error.has_value());
        CHECK(contains(done.error->message(), "the connection to its server was lost"));
        CHECK(done.error->status() == ExitStatus::failed);
    }
    CHECK_THROWS_WITH_AS(disk->flush(),
                         fmt::format("cannot flush '{}' to its medium: the connection to its "
                                     "server was lost",
                                     server.uri())
                             .c_str(),
                         Error);
    CHECK_FALSE(disk->extent_at(0).zero);
}

TEST_CASE("what is under way when a server is lost ends with an error") {
    NbdServer server({"--filter=delay", "memory", "1M", "wdelay=60"});
    const std::unique_ptr<Disk> disk = open(server, NbdUse::write);
    const std::unique_ptr<DiskQueue> queue = disk->open_queue(1);
    AlignedBuffer buffer(4096);
    queue->write(0, 0, buffer.span());
    server.end();
    CHECK(queue->wait().error.has_value());
}

TEST_CASE("a server that is not there is named") {
    const TemporaryDirectory directory;
    const std::string uri = "nbd+unix:///x?socket=" + (directory / "none").string();
    const Error error =
        thrown_by([&] { static_cast<void>(open_nbd(uri, NbdUse::read, DirectIo::automatic)); });
    CHECK(error.message().starts_with(fmt::format("cannot connect to '{}': ", uri)));
    CHECK(contains(error.message(), "No such file or directory"));
}

TEST_CASE("direct I/O is not ours to choose for an export") {
    const Error error =
        thrown_by([] { static_cast<void>(open_source("nbd://localhost:1/x", DirectIo::on)); });
    CHECK(error.status() == ExitStatus::usage);
    CHECK(contains(error.message(), "--direct on is not for 'nbd://localhost:1/x'"));
}

} // namespace coldspare::clone
