#include "clone/target.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/manifest.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

DiskFacts source_facts() {
    DiskFacts facts;
    facts.name = "/dev/sda";
    facts.kind = DiskKind::block;
    facts.size = 8192;
    facts.logical_sector = 512;
    facts.origins = {"source"};
    return facts;
}

DiskFacts target_facts() {
    DiskFacts facts = source_facts();
    facts.name = "/dev/sdb";
    facts.origins = {"target"};
    return facts;
}

constexpr Geometry geometry{8192, 4096};

/// Of a copy of zeros.
Manifest finished() {
    Manifest manifest;
    manifest.geometry = geometry;
    manifest.leaves.assign(2, zero_leaf(4096));
    manifest.root = root_of(geometry, manifest.leaves);
    return manifest;
}

TargetRequest request_for(const fs::path& path, Existing existing = Existing::refuse) {
    return {.path = path, .existing = existing, .state_dir = path.parent_path()};
}

} // namespace

TEST_CASE("a target of the same size and sectors is taken and so is a larger one") {
    DiskFacts target = target_facts();
    CHECK_NOTHROW(check_fits(source_facts(), target));
    target.size += 1;
    CHECK_NOTHROW(check_fits(source_facts(), target));
}

TEST_CASE("a target that is smaller is refused with both sizes") {
    DiskFacts target = target_facts();
    target.size = 8191;
    const Error error = thrown_by([&] { check_fits(source_facts(), target); });
    CHECK(error.message() == "refusing to copy '/dev/sda' to '/dev/sdb': the source has 8192 bytes "
                             "(8.0 KiB), the target 8191 (8.0 KiB)");
    CHECK(error.hint() ==
          "choose a target of at least 8192 bytes; where all partitions end before that, "
          "--partitions copies them");
    CHECK(error.status() == ExitStatus::refused);
}

TEST_CASE("a target with other sectors is refused with both sizes") {
    DiskFacts target = target_facts();
    target.logical_sector = 4096;
    const Error error = thrown_by([&] { check_fits(source_facts(), target); });
    CHECK(error.message() == "refusing to copy '/dev/sda' to '/dev/sdb': the source has sectors of "
                             "512 bytes, the target of 4096");
    CHECK(error.hint() == "partition tables count in sectors, so the copy could not be read: "
                          "choose a target with the same sector size, or an image file");
    CHECK(error.status() == ExitStatus::refused);
}

TEST_CASE("sectors do not count where one of the two has none") {
    DiskFacts source = source_facts();
    DiskFacts target = target_facts();
    target.kind = DiskKind::file;
    target.logical_sector = 4096;
    CHECK_NOTHROW(check_fits(source, target));
    source.logical_sector = 0;
    target.kind = DiskKind::block;
    CHECK_NOTHROW(check_fits(source, target));
}

TEST_CASE("a target that is the source is refused whatever its size") {
    for (const std::vector<std::string>& origins :
         {std::vector<std::string>{"source"}, {"loop", "source"}}) {
        DiskFacts target = target_facts();
        target.origins = origins;
        target.size = 1;
        const Error error = thrown_by([&] { check_fits(source_facts(), target); });
        CHECK(error.message() == "refusing to copy '/dev/sda' to '/dev/sdb': they are the same "
                                 "disk, or one lies on the other");
        CHECK(error.hint() == "choose another target");
        CHECK(error.status() == ExitStatus::refused);
    }
}

TEST_CASE("a file that exists is refused without --erase") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, std::string(1536, 'x'));
    const Error error = thrown_by([&] { Target(request_for(path)).check(); });
    CHECK(error.message() ==
          fmt::format("refusing to overwrite '{}': it exists (1.5 KiB)", path.string()));
    CHECK(error.hint() == "check that it is the right one, then say --erase");
    CHECK(error.status() == ExitStatus::refused);
    CHECK_NOTHROW(Target(request_for(path, Existing::erase)).check());
}

TEST_CASE("where there is somebody to be asked the file name is asked for and nothing is refused") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, std::string(8192, 'x'));
    TargetRequest request = request_for(path);
    int asked = 0;
    request.ask = [&asked](const OverwriteQuestion& question) {
        CHECK(question.noun == "file name");
        ++asked;
        return std::string("image\r");
    };
    Target target(request);
    target.check();
    static_cast<void>(target.open(source_facts(), geometry)); // checks once more
    CHECK(asked == 1);

    for (const char* wrong : {"", "yes", "Image"}) {
        CAPTURE(wrong);
        request.ask = [wrong](const OverwriteQuestion&) { return std::string(wrong); };
        const Error error = thrown_by([&] { Target(request).check(); });
        CHECK(error.message() ==
              fmt::format("refusing to overwrite '{}': what was typed is not its file name",
                          path.string()));
        CHECK(error.status() == ExitStatus::refused);
    }
}

TEST_CASE("nobody is asked with --erase, for a new file, or for a clone of one's own") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    TargetRequest request = request_for(path);
    request.ask = [](const OverwriteQuestion&) -> std::string {
        FAIL("asked");
        return {};
    };
    {
        Target target(request);
        static_cast<void>(target.open(source_facts(), geometry));
        target.begin();
        target.keep(finished());
    }
    CHECK_NOTHROW(Target(request).check());
    write_file_atomically(path, std::string(8192, 'x')); // another file
    request.existing = Existing::erase;
    CHECK_NOTHROW(Target(request).check());
}

TEST_CASE("an image that a virtual machine has open is refused even with --erase") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, std::string(1536, 'x'));
    // As QEMU locks it: a shared lock on a byte from 100 on.
    const Fd qemu = open_file(path, O_RDWR);
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 101;
    lock.l_len = 1;
    REQUIRE(::fcntl(qemu.get(), F_OFD_SETLK, &lock) == 0);
    const Error error = thrown_by([&] { Target(request_for(path, Existing::erase)).check(); });
    CHECK(error.message() ==
          fmt::format("refusing to overwrite '{}': a virtual machine has it open", path.string()));
    CHECK(error.status() == ExitStatus::refused);
}

TEST_CASE("a target in a directory that is not there is wrong usage") {
    const Error error = thrown_by([] { Target(request_for("/nowhere/image")).check(); });
    CHECK(error.message() == "cannot create '/nowhere/image': there is no directory '/nowhere'");
    CHECK(error.status() == ExitStatus::usage);
}

TEST_CASE("a new target is made in the source's size") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    Target target(request_for(path));
    target.check();
    CHECK_FALSE(fs::exists(path));
    const std::unique_ptr<Disk> disk = target.open(source_facts(), geometry).disk;
    CHECK(disk->facts().size == 8192);
    CHECK(fs::file_size(path) == 8192);
}

TEST_CASE("a new target that was not finished is removed and a finished one stays") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    {
        Target target(request_for(path));
        static_cast<void>(target.open(source_facts(), geometry));
    }
    CHECK_FALSE(fs::exists(path));
    {
        Target target(request_for(path));
        static_cast<void>(target.open(source_facts(), geometry));
        target.begin();
        target.keep(finished());
    }
    CHECK(fs::exists(path));
}

TEST_CASE("a file that was there before is never removed") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, std::string(8192, 'x'));
    {
        Target target(request_for(path, Existing::erase));
        static_cast<void>(target.open(source_facts(), geometry));
    }
    CHECK(read_file(path, 10'000) == std::string(8192, 'x'));
}

TEST_CASE("the old manifest is gone before the first write") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, std::string(8192, 'x'));
    Target target(request_for(path, Existing::erase));
    write_file_atomically(target.manifest(), "old");
    static_cast<void>(target.open(source_facts(), geometry));
    CHECK(fs::exists(target.manifest()));
    target.begin();
    CHECK_FALSE(fs::exists(target.manifest()));
    CHECK(fs::exists(journal_path(path, directory.path())));
}

TEST_CASE("a target that is refused keeps its manifest") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, std::string(100, 'x'));
    Target target(request_for(path, Existing::erase));
    write_file_atomically(target.manifest(), "old");
    CHECK_THROWS_AS(static_cast<void>(target.open(source_facts(), geometry)), Error);
    CHECK(fs::exists(target.manifest()));
}

TEST_CASE("a file that appears while the source is awaited is refused") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    Target target(request_for(path));
    target.check();
    write_file_atomically(path, std::string(8192, 'x'));
    CHECK(thrown_by([&] { static_cast<void>(target.open(source_facts(), geometry)); }).status() ==
          ExitStatus::refused);
    CHECK(read_file(path, 10'000) == std::string(8192, 'x'));
}

TEST_CASE("a manifest that lies beside a new target is an old one and goes") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    Target target(request_for(path));
    write_file_atomically(target.manifest(), "of an image that somebody removed");
    static_cast<void>(target.open(source_facts(), geometry));
    target.begin();
    CHECK_FALSE(fs::exists(target.manifest()));
}

TEST_CASE("a target that became another one while the source was awaited is refused") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    write_file_atomically(path, std::string(8192, 'x'));
    Target target(request_for(path, Existing::erase));
    target.check();
    write_file_atomically(path, std::string(8192, 'y'));
    const Error error =
        thrown_by([&] { static_cast<void>(target.open(source_facts(), geometry)); });
    CHECK(error.message() ==
          fmt::format("refusing to overwrite '{}': it is not what it was when this run started",
                      path.string()));
    CHECK(error.status() == ExitStatus::refused);
    CHECK(read_file(path, 10'000) == std::string(8192, 'y'));
}

TEST_CASE("a target that was renamed or replaced during the copy is no success") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    Target target(request_for(path));
    static_cast<void>(target.open(source_facts(), geometry));
    target.begin();
    fs::rename(path, directory / "elsewhere");
    CHECK_THROWS_AS(target.keep(finished()), Error);
    write_file_atomically(path, std::string(8192, 'z'));
    CHECK_THROWS_WITH_AS(
        target.keep(finished()),
        fmt::format("'{}' was removed or replaced during the copy", path.string()).c_str(), Error);
}

TEST_CASE("a half-made file that another run has locked is left to it") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    Fd other;
    {
        Target target(request_for(path));
        static_cast<void>(target.open(source_facts(), geometry));
        other = open_file(path, O_RDWR);
        REQUIRE(::flock(other.get(), LOCK_EX | LOCK_NB) == 0);
    }
    CHECK(fs::exists(path));
}

TEST_CASE("an image is for its owner alone") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image";
    Target target(request_for(path));
    static_cast<void>(target.open(source_facts(), geometry));
    CHECK((fs::status(path).permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("a device that is not there is wrong usage, not an image to make") {
    const Error error = thrown_by([] { Target(request_for("/dev/sdnone")).check(); });
    CHECK(error.message() == "there is no device '/dev/sdnone'");
    CHECK(error.status() == ExitStatus::usage);
}

TEST_CASE("only memory file systems lie in memory") {
    CHECK(lies_in_memory("/dev/shm/image"));
    CHECK_FALSE(lies_in_memory("/proc/image"));
}

} // namespace coldspare::clone
