#include "clone/generations.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/copy_file.hpp"
#include "clone/file_identity.hpp"
#include "clone/journal.hpp"
#include "clone/manifest.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <set>
#include <sys/stat.h>
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
        write_manifest(manifest_path(path, {}), manifest);
    }
    /// A run from beginning to end.
    fs::path receive(char byte, unsigned keep = 1) {
        Generations all = generations();
        const Generations::Next next = all.prepare(keep, {});
        finish(next.path, byte);
        all.publish();
        return next.path;
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
    const Generations::Next next = all.prepare(1, {});
    CHECK(next.path == site.gen(1));
    CHECK(next.seed == Seed::none);
    CHECK_FALSE(fs::exists(site.image));
    Site::finish(next.path, 'a');
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
    const Generations::Next next = all.prepare(1, {});
    CHECK(next.path == site.gen(2));
    CHECK((next.seed == Seed::copied || next.seed == Seed::reflink)); // By the file system of /tmp.
    CHECK(read_file(next.path, 8192) == std::string(8192, 'a'));
    const std::optional<Manifest> manifest = read_manifest(manifest_path(next.path, {}));
    REQUIRE(manifest);
    CHECK(manifest->target_inode == identity_of(next.path).inode);
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
    SUBCASE("nothing durable: begun anew") {
        write_file_atomically(site.gen(2), "half");
        const Generations::Next next = site.generations().prepare(1, {});
        CHECK(next.path == site.gen(2));
        CHECK(read_file(next.path, 8192) == std::string(8192, 'a'));
    }
    SUBCASE("with a journal") {
        write_file_atomically(site.gen(2), "half");
        write_file_atomically(journal_path(site.gen(2), {}), "some journal");
        const Generations::Next next = site.generations().prepare(1, {});
        CHECK(next.path == site.gen(2));
        CHECK(next.seed == Seed::resumed);
        CHECK(read_file(next.path, 8192) == "half");
    }
    SUBCASE("finished, and not published") {
        Site::finish(site.gen(2), 'b');
        const Generations::Next next = site.generations().prepare(1, {});
        CHECK(next.path == site.gen(2));
        CHECK(next.seed == Seed::resumed);
    }
}

TEST_CASE("rollback goes to the one before, as far as there are any") {
    Site site;
    site.receive('a', 2);
    site.receive('b', 2);
    site.receive('c', 2);
    write_file_atomically(site.gen(2).string() + ".fixup.qcow2", "overlay");
    write_file_atomically(site.gen(2).string() + ".fixup.json", "{}");
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
    // What was given up longer ago goes; but the overlay of generation 2 is what starts.
    const Generations::Next next = site.generations().prepare(2, {});
    CHECK(next.path == site.gen(3));
    CHECK(fs::exists(site.gen(2)));
}

TEST_CASE("the generation that the machine starts from is never written or removed") {
    Site site;
    site.receive('a');
    write_file_atomically(site.gen(1).string() + ".fixup.qcow2", "overlay");
    publish_overlay(site.image, site.gen(1).string() + ".fixup.qcow2");
    for (const char byte : std::string("bcd")) {
        site.receive(byte);
    }
    CHECK(read_file(site.gen(1), 8192) == std::string(8192, 'a'));
    CHECK(fs::exists(manifest_path(site.gen(1), {})));
    CHECK(site.told.find("disk.gen1' stays") != std::string::npos);
    write_file_atomically(site.gen(4).string() + ".fixup.qcow2", "overlay");
    publish_overlay(site.image, site.gen(4).string() + ".fixup.qcow2");
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
    const Generations::Next next = site.generations().prepare(1, {});
    CHECK(next.path == site.gen(2));
    CHECK(fs::read_symlink(site.image) == "disk.gen1");
    CHECK(identity_of(site.gen(1)).inode == inode);
    CHECK(fs::exists(manifest_path(site.image, {})));
    CHECK_FALSE(fs::exists(site.image.string() + ".manifest"));
}

TEST_CASE("what cannot have generations is refused, and stays as it is") {
    Site site;
    SUBCASE("a file that is no clone") {
        write_file_atomically(site.image, "mine");
        CHECK(thrown_by([&] { static_cast<void>(site.generations().prepare(1, {})); }).status() ==
              ExitStatus::refused);
        CHECK(read_file(site.image, 10) == "mine");
    }
    SUBCASE("an unfinished copy") {
        Site::finish(site.image, 'a');
        write_file_atomically(journal_path(site.image, {}), "x");
        CHECK(thrown_by([&] { static_cast<void>(site.generations().prepare(1, {})); }).status() ==
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

TEST_CASE("a sparse file is copied with its holes") {
    const TemporaryDirectory directory;
    const fs::path from = directory / "from";
    const fs::path to = directory / "to";
    {
        const Fd fd = open_file(from, O_RDWR | O_CREAT);
        REQUIRE(::ftruncate(fd.get(), 64 << 20) == 0);
        write_at(fd.get(), 8 << 20, as_byte_span(std::string(5000, 'x')));
        write_at(fd.get(), (64 << 20) - 3, as_byte_span("end"));
    }
    copy_sparse_file(from, to, {});
    CHECK(read_file(from, 65 << 20) == read_file(to, 65 << 20));
    struct stat status {};
    REQUIRE(::stat(to.c_str(), &status) == 0);
    CHECK(status.st_blocks * 512 < 1 << 20);
    std::stop_source stop;
    stop.request_stop();
    CHECK(thrown_by([&] {
              copy_sparse_file(from, directory / "third", stop.get_token());
          }).status() == ExitStatus::interrupted);
    CHECK_FALSE(fs::exists(directory / "third"));
}

} // namespace coldspare::clone
