#include "clone/generations.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/file_identity.hpp"
#include "clone/journal.hpp"
#include "clone/manifest.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <fcntl.h>
#include <set>
#include <thread>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr Geometry geometry{8192, 4096};

/// An image "disk" and its generations in a directory of their own.
struct Site {
    TemporaryDirectory directory;
    fs::path image = directory / "disk";
    std::string told;

    [[nodiscard]] Generations generations() {
        return Generations(image, [this](std::string_view text) { told += text; });
    }
    [[nodiscard]] fs::path gen(unsigned number) const {
        return fmt::format("{}.gen{}", image.string(), number);
    }
    /// What a finished receive leaves: two blocks of this byte, and a manifest.
    static void finish(const fs::path& path, char byte) {
        fs::remove(path);
        write_file_atomically(path, std::string(geometry.size, byte));
        Manifest manifest;
        manifest.geometry = geometry;
        manifest.source_name = "/dev/sda";
        const std::string block(geometry.block_size, byte);
        manifest.leaves.assign(2, hash_block(as_byte_span(block)));
        manifest.root = root_of(geometry, manifest.leaves);
        manifest.target_inode = identity_of(path).inode;
        manifest.target_born = identity_of(path).born;
        write_manifest(manifest_path(path, {}), manifest);
    }
    static DiskFacts source() {
        DiskFacts facts;
        facts.name = "/dev/sda";
        facts.size = geometry.size;
        return facts;
    }
    /// The chosen generation, ready to be received into.
    static fs::path begin(Generations& all, unsigned keep = 1) {
        const fs::path next = all.choose(keep, {});
        all.make_ready(source(), Existing::refuse, {});
        return next;
    }
    /// A run from beginning to end.
    fs::path receive(char byte, unsigned keep = 1) {
        Generations all = generations();
        const fs::path next = begin(all, keep);
        finish(next, byte);
        all.publish();
        all.prune();
        return next;
    }
    void fix_up(unsigned number) {
        write_file_atomically(gen(number).string() + ".fixup.qcow2", "overlay");
        write_file_atomically(gen(number).string() + ".fixup.json", "{}");
    }
    [[nodiscard]] std::string content() const { return read_file(image, 8192).substr(0, 1); }
    [[nodiscard]] std::set<std::string> names() const {
        std::set<std::string> found;
        for (const fs::directory_entry& entry : fs::directory_iterator(directory.path())) {
            found.insert(entry.path().filename().string());
        }
        return found;
    }
};

} // namespace

TEST_CASE("the first generation of an image that is not there") {
    Site site;
    Generations all = site.generations();
    const fs::path next = Site::begin(all);
    CHECK(next == site.gen(1));
    CHECK_FALSE(fs::exists(next));
    CHECK_FALSE(fs::exists(site.image));
    Site::finish(next, 'a');
    all.publish();
    CHECK(fs::read_symlink(site.image) == "disk.gen1");
    CHECK(has_generations(site.image));
    CHECK(resolve_generation(site.image) == site.gen(1));
    CHECK(manifest_path(site.image, {}) == site.gen(1).string() + ".manifest");
}

TEST_CASE("the next generation starts as the current one, with its manifest, and leaves it alone") {
    Site site;
    site.receive('a');
    Generations all = site.generations();
    const fs::path next = all.choose(1, {});
    CHECK(next == site.gen(2));
    CHECK_FALSE(fs::exists(next)); // Nothing is done before the source is there.
    all.make_ready(Site::source(), Existing::refuse, {});
    CHECK(read_file(next, 8192) == std::string(8192, 'a'));
    const std::optional<Manifest> manifest = read_manifest(manifest_path(next, {}));
    REQUIRE(manifest);
    CHECK(manifest->target_inode == identity_of(next).inode);
    CHECK(manifest->source_name == "/dev/sda");
    CHECK(site.content() == "a");
    CHECK(fs::read_symlink(site.image) == "disk.gen1");
}

TEST_CASE("as many earlier ones are kept as asked for") {
    Site site;
    for (const char byte : std::string("abcd")) {
        site.receive(byte, 2);
    }
    CHECK(site.content() == "d");
    CHECK(site.names() ==
          std::set<std::string>{"disk", "disk.lock", "disk.gen2", "disk.gen2.manifest", "disk.gen3",
                                "disk.gen3.manifest", "disk.gen4", "disk.gen4.manifest"});
    site.receive('e', 1);
    CHECK(site.names() == std::set<std::string>{"disk", "disk.lock", "disk.gen4",
                                                "disk.gen4.manifest", "disk.gen5",
                                                "disk.gen5.manifest"});
}

TEST_CASE("what an earlier run has begun is gone on with") {
    Site site;
    site.receive('a');
    Generations all = site.generations();
    SUBCASE("nothing in it: begun anew") {
        REQUIRE(Fd(::open(site.gen(2).c_str(), O_RDWR | O_CREAT, 0600)));
        fs::resize_file(site.gen(2), 8192);
        CHECK(Site::begin(all) == site.gen(2));
        CHECK(read_file(site.gen(2), 8192) == std::string(8192, 'a'));
    }
    SUBCASE("with a journal") {
        write_file_atomically(site.gen(2), "half");
        write_file_atomically(journal_path(site.gen(2), {}), "some journal");
        CHECK(Site::begin(all) == site.gen(2));
        CHECK(read_file(site.gen(2), 8192) == "half");
    }
    SUBCASE("finished, and not published") {
        Site::finish(site.gen(2), 'b');
        CHECK(Site::begin(all) == site.gen(2));
        CHECK(read_file(site.gen(2), 8192) == std::string(8192, 'b'));
    }
    SUBCASE("a file of somebody else is refused") {
        write_file_atomically(site.gen(2), "mine");
        CHECK(thrown_by([&] { static_cast<void>(Site::begin(all)); }).status() ==
              ExitStatus::refused);
        CHECK(read_file(site.gen(2), 10) == "mine");
    }
}

TEST_CASE("another disk, or one of another size, is no next generation, unless that is erased") {
    Site site;
    site.receive('a');
    DiskFacts other = Site::source();
    other.size *= 2;
    {
        Generations all = site.generations();
        static_cast<void>(all.choose(1, {}));
        CHECK(thrown_by([&] { all.make_ready(other, Existing::refuse, {}); }).status() ==
              ExitStatus::refused);
        CHECK_FALSE(fs::exists(site.gen(2)));
    }
    Site::finish(site.gen(2), 'b');
    Generations all = site.generations();
    CHECK(all.choose(1, {}) == site.gen(2));
    all.make_ready(other, Existing::erase, {});
    CHECK_FALSE(fs::exists(site.gen(2)));
    CHECK(site.content() == "a");
}

TEST_CASE("a generation without a readable manifest is followed by none, and never removed") {
    Site site;
    site.receive('a');
    fs::remove(manifest_path(site.gen(1), {}));
    {
        Generations all = site.generations();
        static_cast<void>(all.choose(1, {}));
        const Error error =
            thrown_by([&] { all.make_ready(Site::source(), Existing::refuse, {}); });
        CHECK(error.status() == ExitStatus::refused);
        CHECK(error.message().find("without a readable manifest") != std::string::npos);
    }
    for (const char byte : std::string("bc")) {
        Generations all = site.generations();
        const fs::path next = all.choose(1, {});
        all.make_ready(Site::source(), Existing::erase, {});
        Site::finish(next, byte);
        all.publish();
        all.prune();
    }
    CHECK(site.content() == "c");
    CHECK(read_file(site.gen(1), 8192) == std::string(8192, 'a'));
    CHECK(site.told.find("disk.gen1' stays: it has no manifest") != std::string::npos);
}

TEST_CASE("what a crash left of a removal goes with the next run") {
    Site site;
    site.receive('a');
    site.receive('b');
    write_file_atomically(site.gen(1).string() + ".given-up", "");
    fs::remove(manifest_path(site.gen(1), {}));
    site.receive('c');
    CHECK_FALSE(fs::exists(site.gen(1)));
    CHECK_FALSE(fs::exists(site.gen(1).string() + ".given-up"));
}

TEST_CASE("without the link nobody knows which is current") {
    Site site;
    site.receive('a');
    site.receive('b');
    fs::remove(site.image);
    Generations all = site.generations();
    const Error error = thrown_by([&] { static_cast<void>(all.choose(1, {})); });
    CHECK(error.status() == ExitStatus::refused);
    CHECK(error.hint().find("ln -s disk.gen2") != std::string::npos);
    CHECK((fs::exists(site.gen(1)) && fs::exists(site.gen(2))));
}

TEST_CASE("rollback goes to the one before, as far as there are any") {
    Site site;
    site.receive('a', 2);
    site.receive('b', 2);
    site.receive('c', 2);
    site.fix_up(2);
    Generations::Rollback done = site.generations().roll_back();
    CHECK(done.from == site.gen(3));
    CHECK(done.to == site.gen(2));
    CHECK(done.bootable);
    CHECK(site.content() == "b");
    CHECK(fs::read_symlink(site.image.string() + ".fixup.qcow2") == "disk.gen2.fixup.qcow2");
    done = site.generations().roll_back();
    CHECK(done.to == site.gen(1));
    CHECK_FALSE(done.bootable);
    CHECK(fs::read_symlink(site.image.string() + ".fixup.qcow2") == "disk.gen2.fixup.qcow2");
    CHECK(thrown_by([&] { static_cast<void>(site.generations().roll_back()); }).status() ==
          ExitStatus::refused);
    // The overlay of generation 2 is what starts, given up or not.
    site.receive('d', 2);
    CHECK(fs::read_symlink(site.image) == "disk.gen3");
    CHECK(site.content() == "d");
    CHECK(fs::exists(site.gen(2)));
    // And it is no more what a rollback goes to.
    CHECK(site.generations().roll_back().to == site.gen(1));
}

TEST_CASE("rollback passes over generations that were never fixed up") {
    Site site;
    site.receive('a', 3);
    site.fix_up(1);
    publish_overlay(site.image, site.gen(1));
    for (const char byte : std::string("bcd")) {
        site.receive(byte, 3);
    }
    const Generations::Rollback done = site.generations().roll_back();
    CHECK(done.from == site.gen(4));
    CHECK(done.to == site.gen(1));
    CHECK(done.bootable);
    CHECK(site.content() == "a");
    // There is nothing to go back to any more, and those between do not come back.
    CHECK(thrown_by([&] { static_cast<void>(site.generations().roll_back()); }).status() ==
          ExitStatus::refused);
    site.receive('e', 3);
    CHECK(site.generations().roll_back().to == site.gen(1));
}

TEST_CASE("what was given up and is pinned does not take the place of what is kept") {
    Site site;
    site.receive('a');
    site.receive('b');
    site.fix_up(2);
    publish_overlay(site.image, site.gen(2));
    CHECK_FALSE(site.generations().roll_back().bootable);
    CHECK(site.receive('c') == site.gen(3));
    CHECK(fs::exists(site.gen(1)));
    CHECK(fs::exists(site.gen(2)));
    CHECK(site.generations().roll_back().to == site.gen(1));
}

TEST_CASE("an overlay that a machine has written to is never removed") {
    Site site;
    site.receive('a');
    site.fix_up(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    write_file_atomically(site.gen(1).string() + ".fixup.qcow2", "two days of mail");
    for (const char byte : std::string("bcd")) {
        site.receive(byte);
    }
    CHECK(read_file(site.gen(1).string() + ".fixup.qcow2", 100) == "two days of mail");
    CHECK(site.told.find("was written to") != std::string::npos);
}

TEST_CASE("the generation that the machine starts from is never written or removed") {
    Site site;
    site.receive('a');
    site.fix_up(1);
    publish_overlay(site.image, site.gen(1));
    for (const char byte : std::string("bcd")) {
        site.receive(byte);
    }
    CHECK(read_file(site.gen(1), 8192) == std::string(8192, 'a'));
    CHECK(fs::exists(manifest_path(site.gen(1), {})));
    CHECK(site.told.find("disk.gen1' stays") != std::string::npos);
    CHECK(thrown_by([&] { publish_overlay(site.image, site.gen(3)); }).status() ==
          ExitStatus::refused);
    site.fix_up(4);
    publish_overlay(site.image, site.gen(4));
    site.receive('e');
    CHECK_FALSE(fs::exists(site.gen(1)));
    CHECK_FALSE(fs::exists(site.gen(1).string() + ".fixup.qcow2"));
}

TEST_CASE("a plain image becomes the first generation, also after a crash on the way") {
    Site site;
    Site::finish(site.image, 'a');
    const std::uint64_t inode = identity_of(site.image).inode;
    SUBCASE("at once") {}
    SUBCASE("with the second names there already") {
        fs::create_hard_link(site.image, site.gen(1));
        fs::create_hard_link(site.image.string() + ".manifest", site.gen(1).string() + ".manifest");
    }
    CHECK(site.generations().choose(1, {}) == site.gen(2));
    CHECK(fs::read_symlink(site.image) == "disk.gen1");
    CHECK(identity_of(site.gen(1)).inode == inode);
    CHECK(fs::exists(manifest_path(site.image, {})));
    CHECK_FALSE(fs::exists(site.image.string() + ".manifest"));
}

TEST_CASE("what cannot have generations is refused, and stays as it is") {
    Site site;
    SUBCASE("a file that is no clone") {
        write_file_atomically(site.image, "mine");
        CHECK(thrown_by([&] { static_cast<void>(site.generations().choose(1, {})); }).status() ==
              ExitStatus::refused);
        CHECK(read_file(site.image, 10) == "mine");
    }
    SUBCASE("another file beside the manifest of a clone") {
        Site::finish(site.image, 'a');
        write_file_atomically(site.image, "mine");
        CHECK(thrown_by([&] { static_cast<void>(site.generations().choose(1, {})); }).status() ==
              ExitStatus::refused);
    }
    SUBCASE("an unfinished copy") {
        Site::finish(site.image, 'a');
        write_file_atomically(journal_path(site.image, {}), "x");
        CHECK(thrown_by([&] { static_cast<void>(site.generations().choose(1, {})); }).status() ==
              ExitStatus::refused);
    }
    SUBCASE("a link to elsewhere") {
        for (const char* name : {"/etc/passwd", "disk.gen0", "disk.gen", "disk.gen1x", "other.gen1",
                                 "x/disk.gen1", "disk.gen1234567890"}) {
            fs::remove(site.image);
            fs::create_symlink(name, site.image);
            CAPTURE(name);
            CHECK(thrown_by([&] { static_cast<void>(site.generations()); }).status() ==
                  ExitStatus::refused);
        }
    }
    SUBCASE("two runs at once") {
        const Generations first = site.generations();
        CHECK(thrown_by([&] { static_cast<void>(site.generations()); }).status() ==
              ExitStatus::locked);
    }
}

} // namespace coldspare::clone
