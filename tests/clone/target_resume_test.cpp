// What a Target remembers of an unfinished copy, and what it makes of it the next time.
#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/manifest.hpp"
#include "clone/target.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fcntl.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr Geometry geometry{8192, 4096};
const std::vector<Range> first_block{{0, 4096}};

DiskFacts source_facts() {
    DiskFacts facts;
    facts.name = "/dev/sda";
    facts.kind = DiskKind::block;
    facts.size = 8192;
    facts.model = "ST500";
    facts.serial = "Z4Y";
    facts.origins = {"source"};
    return facts;
}

Manifest finished(std::vector<Range> unreadable = {}) {
    Manifest manifest;
    manifest.geometry = geometry;
    manifest.created = "2026-11-22T03:05:14Z";
    manifest.program = "coldspare 9.9.9";
    manifest.leaves.assign(2, zero_leaf(4096));
    manifest.root = root_of(geometry, manifest.leaves);
    manifest.unreadable = std::move(unreadable);
    return manifest;
}

/// An image in a directory of its own.
struct Place {
    TemporaryDirectory directory;
    fs::path path = directory / "image";

    [[nodiscard]] TargetRequest request(Existing existing = Existing::refuse,
                                        Earlier earlier = Earlier::go_on) const {
        return {
            .path = path, .existing = existing, .earlier = earlier, .state_dir = directory.path()};
    }
    [[nodiscard]] fs::path journal() const { return journal_path(path, directory.path()); }

    /// A run that had one block durable when it ended.
    void interrupt(const DiskFacts& source = source_facts()) const {
        Target target(request());
        static_cast<void>(target.open(source, geometry));
        target.begin();
        target.record(first_block);
        CHECK(target.unfinished());
    }
};

std::vector<Range> opened_durable(Target& target, const DiskFacts& source = source_facts()) {
    return target.open(source, geometry).worth_reading;
}

} // namespace

TEST_CASE("an interrupted copy stays, with its journal, and the next run goes on without --erase") {
    const Place place;
    place.interrupt();
    CHECK(fs::file_size(place.path) == 8192);
    CHECK(fs::exists(place.journal()));
    std::vector<std::string> notices;
    TargetRequest request = place.request();
    request.notice = [&](std::string_view text) { notices.emplace_back(text); };
    Target target(request);
    CHECK_NOTHROW(target.check());
    CHECK(opened_durable(target) == first_block);
    CHECK(notices.back() == "an interrupted run left 4.0 KiB of it on the target: both sides read "
                            "that again, and only the rest travels");
    target.begin();
    target.record(std::vector<Range>{{4096, 4096}});
    CHECK(read_journal(place.journal())->durable == std::vector<Range>{{0, 8192}});
    target.keep(finished());
    CHECK_FALSE(fs::exists(place.journal()));
    CHECK_FALSE(target.unfinished());
    CHECK(fs::exists(target.manifest()));
}

TEST_CASE("an interrupted run that had nothing durable leaves nothing of a new image") {
    const Place place;
    {
        Target target(place.request());
        static_cast<void>(target.open(source_facts(), geometry));
        target.begin();
        CHECK(fs::exists(place.journal()));
    }
    CHECK_FALSE(fs::exists(place.path));
    CHECK_FALSE(fs::exists(place.journal()));
}

TEST_CASE("a file that was there stays marked as unfinished, also if nothing was durable") {
    const Place place;
    write_file_atomically(place.path, std::string(8192, 'x'));
    {
        Target target(place.request(Existing::erase));
        static_cast<void>(target.open(source_facts(), geometry));
        target.begin();
    }
    CHECK(fs::exists(place.path));
    CHECK(fs::exists(place.journal()));
    Target target(place.request());
    CHECK(opened_durable(target).empty());
}

TEST_CASE("an unfinished copy of another disk is refused without --erase and overwritten with it") {
    const Place place;
    place.interrupt();
    struct Row {
        std::string_view what;
        DiskFacts facts;
    };
    DiskFacts serial = source_facts();
    serial.serial = "other";
    DiskFacts model = source_facts();
    model.model = "other";
    DiskFacts wwn = source_facts();
    wwn.wwn = "naa.1";
    for (const Row& row : {Row{"serial", serial}, Row{"model", model}, Row{"wwn", wwn}}) {
        CAPTURE(row.what);
        Target target(place.request());
        const Error error =
            thrown_by([&] { static_cast<void>(opened_durable(target, row.facts)); });
        CHECK(error.message() ==
              fmt::format("refusing to overwrite '{}': it is an unfinished copy of '/dev/sda'",
                          place.path.string()));
        CHECK(error.hint() == "check that it is the right one, then say --erase");
        CHECK(error.status() == ExitStatus::refused);
        CHECK(read_journal(place.journal())->durable == first_block);
    }
    Target target(place.request(Existing::erase));
    CHECK(opened_durable(target, serial).empty());
    target.begin();
    CHECK(read_journal(place.journal())->durable.empty());
    CHECK(read_journal(place.journal())->head.source_serial == "other");
}

TEST_CASE("the name of a source counts only if the disk has no number of its own") {
    {
        const Place place;
        place.interrupt();
        DiskFacts renamed = source_facts();
        renamed.name = "/dev/sdb";
        Target target(place.request());
        CHECK(opened_durable(target, renamed) == first_block);
    }
    const Place place;
    DiskFacts plain = source_facts();
    plain.serial = "";
    place.interrupt(plain);
    DiskFacts renamed = plain;
    renamed.name = "/dev/sdb";
    Target other(place.request());
    CHECK_THROWS_AS(static_cast<void>(opened_durable(other, renamed)), Error);
    Target same(place.request());
    CHECK(opened_durable(same, plain) == first_block);
}

TEST_CASE("what is durable in blocks of another size is copied anew") {
    const Place place;
    place.interrupt();
    Target target(place.request());
    CHECK(target.open(source_facts(), {8192, 8192}).mode == CopyMode::full);
    target.begin();
    CHECK(read_journal(place.journal())->durable.empty());
}

TEST_CASE("an unfinished copy that is to be overwritten begins anew, but goes on with its own") {
    const Place place;
    place.interrupt();
    Target target(place.request(Existing::refuse, Earlier::ignore));
    CHECK(opened_durable(target).empty());
    target.begin();
    CHECK(read_journal(place.journal())->durable.empty());
    target.record(std::vector<Range>{{4096, 4096}});
    // The connection was lost, and the peer is back.
    CHECK(opened_durable(target) == std::vector<Range>{{4096, 4096}});
}

TEST_CASE("a connection that is lost at any time before the end does not refuse its own target") {
    const Place place;
    Target target(place.request());
    target.check();
    CHECK(opened_durable(target).empty()); // Lost before READY: nothing is there but the file.
    CHECK(opened_durable(target).empty());
    target.begin();
    CHECK(opened_durable(target).empty());
    target.begin();
    target.record(first_block);
    CHECK(opened_durable(target) == first_block);
    target.begin();
    target.keep(finished());
    CHECK(fs::exists(place.path));
}

TEST_CASE("a journal beside another file does not make that file overwritable") {
    const Place place;
    place.interrupt();
    // Another file often gets the inode number of one that was removed just before.
    fs::remove(place.path);
    { const Fd file = open_file(place.path, O_RDWR | O_CREAT | O_EXCL); }
    fs::resize_file(place.path, 8192);
    const Error error = thrown_by([&] { Target(place.request()).check(); });
    CHECK(error.message() ==
          fmt::format("refusing to overwrite '{}': it exists (8.0 KiB)", place.path.string()));
}

TEST_CASE("a journal that cannot be read makes nothing overwritable") {
    const Place place;
    place.interrupt();
    write_file_atomically(place.journal(), "not a journal");
    CHECK(thrown_by([&] { Target(place.request()).check(); }).status() == ExitStatus::refused);
    Target target(place.request(Existing::erase));
    CHECK(opened_durable(target).empty());
    target.begin();
    CHECK(read_journal(place.journal())->durable.empty());
}

TEST_CASE("a finished copy whose journal a crash has left is not overwritten") {
    const Place place;
    place.interrupt();
    write_manifest(manifest_path(place.path, place.directory.path()), finished());
    CHECK(thrown_by([&] { Target(place.request()).check(); }).status() == ExitStatus::refused);
}

TEST_CASE("what the source could not read is listed beside the copy, and an old list goes") {
    const Place place;
    Target target(place.request());
    static_cast<void>(target.open(source_facts(), geometry));
    target.begin();
    target.keep(finished({{4096, 512}}));
    CHECK(contains(read_file(target.map(), 10'000), "0x00001000  0x00000200  -"));
    CHECK(read_manifest(target.manifest())->unreadable == std::vector<Range>{{4096, 512}});
    Target again(place.request(Existing::erase));
    static_cast<void>(again.open(source_facts(), geometry));
    again.begin();
    again.keep(finished());
    CHECK_FALSE(fs::exists(target.map()));
}

} // namespace coldspare::clone
