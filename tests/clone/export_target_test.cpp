// What a Target makes of an NBD export.
#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/manifest.hpp"
#include "clone/target.hpp"
#include "tests/support/disk_conformance.hpp"
#include "tests/support/nbd_server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr Geometry geometry{16384, 4096};
const std::vector<Range> whole{{0, 16384}};

DiskFacts source_facts() {
    DiskFacts facts;
    facts.name = "/dev/sda";
    facts.kind = DiskKind::block;
    facts.size = geometry.size;
    facts.logical_sector = 512;
    facts.serial = "Z4Y";
    facts.origins = {"source"};
    return facts;
}

/// An export in a directory of its own, and a state directory.
struct Served {
    TemporaryDirectory state;
    TemporaryDirectory directory;
    NbdServer server{{"file", "dir=" + directory.path().string()}};

    Served() { put(std::string(32768, '\xEE')); }

    void put(const std::string& content) const {
        write_file_atomically(directory / "disk", content);
    }
    [[nodiscard]] TargetRequest request(Existing existing = Existing::refuse,
                                        Earlier earlier = Earlier::go_on) const {
        return {.path = server.uri("disk"),
                .existing = existing,
                .earlier = earlier,
                .state_dir = state.path()};
    }
    [[nodiscard]] fs::path manifest() const {
        return manifest_path(server.uri("disk"), state.path());
    }
    [[nodiscard]] fs::path journal() const {
        return journal_path(server.uri("disk"), state.path());
    }

    /// A finished clone of data, and of zeros behind it.
    void clone() const {
        Target target(request(Existing::erase));
        const Destination::Opened opened = target.open(source_facts(), geometry);
        target.begin();
        AlignedBuffer data(8192);
        fill_pattern(data.span(), 0);
        opened.disk->write(0, data.span());
        opened.disk->zero(8192, 8192);
        opened.disk->flush();
        target.record(whole);
        Manifest manifest;
        manifest.geometry = geometry;
        manifest.source_name = source_facts().name;
        manifest.source_serial = source_facts().serial;
        manifest.leaves.assign(4, zero_leaf(4096));
        manifest.leaves[0] = hash_block(data.first(4096));
        manifest.leaves[1] = hash_block(data.span().subspan(4096));
        manifest.root = root_of(geometry, manifest.leaves);
        target.keep(std::move(manifest));
    }
};

void require_refusal(const Served& served) {
    Target target(served.request());
    const Error error = thrown_by([&] { target.check(); });
    CHECK(error.message() == fmt::format("refusing to overwrite '{}': it exists (32.0 KiB)",
                                         served.server.uri("disk")));
    CHECK(error.status() == ExitStatus::refused);
}

} // namespace

TEST_CASE("an export of which nothing is known is refused without --erase") {
    const Served served;
    require_refusal(served);
    Target target(served.request(Existing::erase));
    CHECK_NOTHROW(target.check());
    CHECK(target.open(source_facts(), geometry).mode == CopyMode::full);
    CHECK(read_file(served.directory / "disk", 40'000) == std::string(32768, '\xEE'));
}

TEST_CASE("a clone on an export is compared with its disk, without --erase") {
    const Served served;
    served.clone();
    CHECK(fs::exists(served.manifest()));
    CHECK_FALSE(fs::exists(served.journal()));
    Target target(served.request());
    target.check();
    const Destination::Opened opened = target.open(source_facts(), geometry);
    CHECK(opened.mode == CopyMode::delta);
    CHECK(opened.worth_reading == whole);
    // What is read back comes over the same connection: the server may take no other.
    AlignedBuffer bytes(4096);
    target.open_medium()->read(12288, bytes.span());
    CHECK(conformance::only(bytes.span(), std::byte{0}));
    // Once it is under way the manifest is gone, and it is still ours.
    target.begin();
    CHECK_FALSE(fs::exists(served.manifest()));
    CHECK(target.open(source_facts(), geometry).mode == CopyMode::resume);
}

TEST_CASE("another disk under the URI of a clone is refused without --erase") {
    const Served served;
    served.clone();
    for (const std::string& other : {std::string(32768, '\xEE'), std::string(32768, '\0')}) {
        served.put(other);
        require_refusal(served);
        CHECK(read_file(served.directory / "disk", 40'000) == other);
    }
    write_file_atomically(served.manifest(), "damaged");
    require_refusal(served);
}

TEST_CASE("an unfinished copy on an export is gone on with, with --erase") {
    const Served served;
    {
        Target target(served.request(Existing::erase));
        static_cast<void>(target.open(source_facts(), geometry));
        target.begin();
        target.record({{Range{4096, 4096}}});
    }
    require_refusal(served);
    Target target(served.request(Existing::erase));
    const Destination::Opened opened = target.open(source_facts(), geometry);
    CHECK(opened.mode == CopyMode::resume);
    CHECK(opened.worth_reading == std::vector<Range>{{4096, 4096}});
}

TEST_CASE("a clone of another disk on an export is refused without --erase") {
    const Served served;
    served.clone();
    DiskFacts other = source_facts();
    other.serial = "another";
    Target target(served.request());
    target.check();
    CHECK_THROWS_WITH_AS(static_cast<void>(target.open(other, geometry)),
                         fmt::format("refusing to overwrite '{}': it is a clone of '/dev/sda'",
                                     served.server.uri("disk"))
                             .c_str(),
                         Error);
}

TEST_CASE("an export is not copied to itself, nor to one that is too small") {
    const Served served;
    Target target(served.request(Existing::erase));
    DiskFacts source = read_disk_facts(served.server.uri("disk"));
    CHECK(contains(thrown_by([&] { static_cast<void>(target.open(source, geometry)); }).message(),
                   "they are the same disk"));
    source = source_facts();
    source.size = 65536;
    CHECK(contains(thrown_by([&] {
                       static_cast<void>(target.open(source, {65536, 4096}));
                   }).message(),
                   "the source has 65536 bytes"));
}

TEST_CASE("an export that another run writes to is locked with status 5") {
    const Served served;
    Target first(served.request(Existing::erase));
    first.check();
    Target second(served.request(Existing::erase));
    const Error error = thrown_by([&] { second.check(); });
    CHECK(error.message() ==
          fmt::format("'{}' is locked by another run", served.server.uri("disk")));
    CHECK(error.status() == ExitStatus::locked);
}

} // namespace coldspare::clone
