// What a Target makes of an earlier clone.
#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/manifest.hpp"
#include "clone/target.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <fcntl.h>
#include <thread>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr Geometry geometry{8192, 4096};
const std::vector<Range> whole{{0, 8192}};

DiskFacts source_facts() {
    DiskFacts facts;
    facts.name = "/dev/sda";
    facts.kind = DiskKind::block;
    facts.size = geometry.size;
    facts.serial = "Z4Y";
    facts.origins = {"source"};
    return facts;
}

/// An image with a finished clone in a directory of its own.
struct Clone {
    TemporaryDirectory directory;
    fs::path path = directory / "image";

    Clone() {
        Target target({.path = path, .state_dir = directory.path()});
        static_cast<void>(target.open(source_facts(), geometry));
        target.begin();
        target.record(whole);
        Manifest manifest;
        manifest.geometry = geometry;
        manifest.source_name = source_facts().name;
        manifest.source_serial = source_facts().serial;
        manifest.leaves.assign(2, zero_leaf(4096));
        manifest.root = root_of(geometry, manifest.leaves);
        target.keep(std::move(manifest));
    }
    [[nodiscard]] TargetRequest request(Existing existing = Existing::refuse,
                                        Earlier earlier = Earlier::go_on) const {
        return {
            .path = path, .existing = existing, .earlier = earlier, .state_dir = directory.path()};
    }
    [[nodiscard]] fs::path manifest() const { return manifest_path(path, directory.path()); }
    [[nodiscard]] fs::path journal() const { return journal_path(path, directory.path()); }
};

} // namespace

TEST_CASE("a clone of the same disk is compared with it, without --erase") {
    const Clone clone;
    Target target(clone.request());
    target.check();
    const Destination::Opened opened = target.open(source_facts(), geometry);
    CHECK(opened.mode == CopyMode::delta);
    CHECK(opened.worth_reading == whole);
    CHECK(fs::exists(clone.manifest()));
    CHECK_FALSE(fs::exists(clone.journal()));
}

TEST_CASE("a re-clone under way has no manifest, and is resumed with all of the disk") {
    const Clone clone;
    {
        Target target(clone.request());
        static_cast<void>(target.open(source_facts(), geometry));
        target.begin();
        CHECK_FALSE(fs::exists(clone.manifest()));
        CHECK(read_journal(clone.journal())->durable == whole);
        // Also by this run, after a lost connection.
        CHECK(target.open(source_facts(), geometry).mode == CopyMode::resume);
    }
    CHECK(fs::exists(clone.path));
    Target target(clone.request());
    const Destination::Opened opened = target.open(source_facts(), geometry);
    CHECK(opened.mode == CopyMode::resume);
    CHECK(opened.worth_reading == whole);
}

TEST_CASE("blocks of another size are no other disk") {
    const Clone clone;
    Target target(clone.request());
    CHECK(target.open(source_facts(), {geometry.size, 8192}).mode == CopyMode::delta);
}

TEST_CASE("a clone of another disk is refused, and with --erase copied whole") {
    const Clone clone;
    DiskFacts other = source_facts();
    other.serial = "OTHER";
    const Error error = thrown_by([&] {
        Target target(clone.request());
        static_cast<void>(target.open(other, geometry));
    });
    CHECK(error.message() == fmt::format("refusing to overwrite '{}': it is a clone of '/dev/sda'",
                                         clone.path.string()));
    CHECK(error.status() == ExitStatus::refused);
    Target target(clone.request(Existing::erase));
    CHECK(target.open(other, geometry).mode == CopyMode::full);
}

TEST_CASE("--full compares nothing") {
    const Clone clone;
    Target target(clone.request(Existing::refuse, Earlier::ignore));
    const Destination::Opened opened = target.open(source_facts(), geometry);
    CHECK(opened.mode == CopyMode::full);
    CHECK(opened.worth_reading.empty());
}

TEST_CASE("a manifest is trusted if nobody has written to its target since") {
    const Clone clone;
    std::string told;
    TargetRequest request = clone.request(Existing::refuse, Earlier::trust);
    request.notice = [&](std::string_view text) { told += text; };
    std::string reason;
    SUBCASE("nobody has") {}
    SUBCASE("somebody has") {
        const Fd fd = open_file(clone.path, O_RDWR);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        write_at(fd.get(), 5, as_byte_span(std::string(1, '\0')));
        reason = "somebody has written to the target since, or this machine was started again";
    }
    SUBCASE("blocks have another size") {
        Target target(request);
        const Geometry other{geometry.size, 8192};
        const Destination::Opened opened = target.open(source_facts(), other);
        CHECK(target.prove(*opened.disk, other).empty());
        CHECK(told.find("blocks of another size") != std::string::npos);
        return;
    }
    Target target(request);
    const Destination::Opened opened = target.open(source_facts(), geometry);
    CHECK(opened.mode == CopyMode::delta);
    CHECK(opened.worth_reading == whole);
    CHECK(target.prove(*opened.disk, geometry).size() == (reason.empty() ? 2 : 0));
    CHECK((told.find("not trusted: " + reason) != std::string::npos) == !reason.empty());
}

TEST_CASE("a manifest is not trusted unless that is asked for") {
    const Clone clone;
    Target target(clone.request());
    const Destination::Opened opened = target.open(source_facts(), geometry);
    CHECK(target.prove(*opened.disk, geometry).empty());
}

TEST_CASE("a manifest beside another file gives no leave to overwrite that") {
    const Clone clone;
    fs::copy_file(clone.path, clone.directory / "other");
    fs::rename(clone.directory / "other", clone.path);
    CHECK(thrown_by([&] { Target(clone.request()).check(); }).message() ==
          fmt::format("refusing to overwrite '{}': it exists (8.0 KiB)", clone.path.string()));
    // But it is worth a comparison.
    Target target(clone.request(Existing::erase));
    CHECK(target.open(source_facts(), geometry).mode == CopyMode::delta);
}

TEST_CASE("a manifest that cannot be read is none") {
    const Clone clone;
    write_file_atomically(clone.manifest(), "COLDSPARE MANIFEST 1\n");
    CHECK(thrown_by([&] { Target(clone.request()).check(); }).status() == ExitStatus::refused);
    Target target(clone.request(Existing::erase));
    CHECK(target.open(source_facts(), geometry).mode == CopyMode::full);
}

} // namespace coldspare::clone
