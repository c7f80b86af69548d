// The whole run with a shell script in the place of the helper: what happens to the files on the
// host.
#include "fixup/fixup.hpp"

#include "base/files.hpp"
#include "fixup/binding.hpp"
#include "fixup/overlay.hpp"
#include "fixup/protocol.hpp"
#include "tests/support/fixup_bench.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace coldspare;
using namespace coldspare::fixup;
namespace fs = std::filesystem;

namespace {

const NoteCallback quiet = [](std::string_view) {};

} // namespace

TEST_CASE("a fixup makes an overlay over the untouched image, and its report last") {
    const FixupBench bench;
    const std::string before = read_file(bench.image(), 2 << 20);
    const FixupResult result = bench.run(bench.request());
    CHECK(result.changed);
    CHECK(result.overlays == std::vector{bench.overlay()});
    CHECK(result.report.files == std::vector<std::string>{"/etc/changed"});
    CHECK(read_file(bench.image(), 2 << 20) == before);
    const std::optional<Binding> binding = read_binding(bench.report());
    REQUIRE(binding.has_value());
    CHECK(binding->layers[0].base == "mail1.img");
    CHECK(binding->layers[0].base_root == "abcd");
    CHECK(binding->layers[0].overlay_stamp == stamp_of(bench.overlay()));
    CHECK_FALSE(fs::exists(bench.partial()));
    CHECK(read_file(bench.overlay(), 1 << 20).find("mail1.img") != std::string::npos);
}

TEST_CASE("a second run looks, and leaves every byte as it is") {
    FixupBench bench;
    static_cast<void>(bench.run(bench.request()));
    const std::string overlay = read_file(bench.overlay(), 1 << 20);
    const std::string report = read_file(bench.report(), 1 << 20);
    bench.helper(Outcome::not_needed);
    const FixupResult again = bench.run(bench.request());
    CHECK_FALSE(again.changed);
    CHECK(again.report.files == std::vector<std::string>{"/etc/changed"});
    CHECK(read_file(bench.overlay(), 1 << 20) == overlay);
    CHECK(read_file(bench.report(), 1 << 20) == report);
    CHECK(bench.asked().find("\"depth\":\"look\"") != std::string::npos);
    CHECK(bench.asked().find("\"format\":\"qcow2\"") != std::string::npos);
}

TEST_CASE("an overlay of another clone, or for another card, is made anew") {
    const FixupBench bench;
    static_cast<void>(bench.run(bench.request()));
    FixupRequest other = bench.request();
    SUBCASE("another root digest") {
        other.images[0].base_root = "ef01";
    }
    SUBCASE("nobody vouches for the image any more") {
        other.images[0].base_root.clear();
    }
    SUBCASE("another card") {
        other.wishes.nics[0].mac = "52:54:00:99:99:99";
    }
    SUBCASE("the image was written") {
        write_file_atomically(bench.image(), std::string(1 << 20, 'y'));
    }
    CHECK(bench.run(other).changed);
    CHECK(bench.asked().find("\"depth\":\"mend\"") != std::string::npos);
    CHECK(read_binding(bench.report())->wishes == other.wishes);
}

TEST_CASE("an overlay that a virtual machine wrote to is never replaced") {
    const FixupBench bench;
    static_cast<void>(bench.run(bench.request()));
    const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
    REQUIRE(::utimensat(AT_FDCWD, bench.overlay().c_str(), times, 0) == 0);
    FixupRequest other = bench.request();
    SUBCASE("for another clone") {
        other.images[0].base_root = "ef01";
    }
    SUBCASE("for the same one") {}
    const Error error = bench.failure(other);
    CHECK(error.status() == ExitStatus::refused);
    CHECK(error.message() == fmt::format("refusing to replace '{}': a virtual machine wrote to it "
                                         "since fixup made it",
                                         bench.overlay().string()));
    CHECK(fs::exists(bench.overlay()));
}

TEST_CASE("an overlay without a report is never replaced") {
    const FixupBench bench;
    static_cast<void>(bench.run(bench.request()));
    fs::remove(bench.report());
    const Error error = bench.failure(bench.request());
    CHECK(error.status() == ExitStatus::refused);
    CHECK(error.message() == fmt::format("refusing to replace '{}': there is no report '{}' that "
                                         "says what is in it",
                                         bench.overlay().string(), bench.report().string()));
}

TEST_CASE("a file in the report's place that is none is not overwritten") {
    const FixupBench bench;
    write_file_atomically(bench.report(), "{\"precious\": true}");
    const Error error = bench.failure(bench.request());
    CHECK(error.status() == ExitStatus::refused);
    CHECK(error.message().starts_with(
        fmt::format("refusing to write the report '{}'", bench.report().string())));
    CHECK(read_file(bench.report(), 1 << 20) == "{\"precious\": true}");
    CHECK_FALSE(fs::exists(bench.overlay()));
}

TEST_CASE("an overlay whose report cannot be written goes again") {
    FixupBench bench;
    // Made while the helper works: a directory in the place of the report.
    bench.script(fmt::format("cat > /dev/null\nmkdir -p '{0}/x'\ncat << 'END'\n{1}\nEND\n",
                             bench.report().string(), encode_report(RepairReport{})));
    CHECK_THROWS_AS(static_cast<void>(bench.run(bench.request())), Error);
    CHECK_FALSE(fs::exists(bench.overlay()));
    CHECK_FALSE(fs::exists(bench.partial()));
}

TEST_CASE("a new overlay lives until it is kept") {
    const FixupBench bench;
    const BaseImage base(bench.image(), {});
    {
        NewOverlay overlay(bench.overlay(), base, {});
        overlay.check({});
        overlay.install();
        CHECK(fs::exists(bench.overlay()));
    }
    CHECK_FALSE(fs::exists(bench.overlay()));
    std::stop_source source;
    source.request_stop();
    CHECK_THROWS_AS(NewOverlay(bench.overlay(), base, source.get_token()), Error);
    CHECK_FALSE(fs::exists(bench.partial()));
}

TEST_CASE("an overlay that a virtual machine has open is not even looked at") {
    FixupBench bench;
    static_cast<void>(bench.run(bench.request()));
    bench.script("echo started\n");
    // What QEMU locks in an image that it writes: the byte of the permission "write".
    const Fd machine = open_file(bench.overlay(), O_RDWR);
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 101;
    lock.l_len = 1;
    REQUIRE(::fcntl(machine.get(), F_OFD_SETLK, &lock) == 0);
    const Error error = bench.failure(bench.request());
    CHECK(error.status() == ExitStatus::refused);
    CHECK(error.message() == fmt::format("refusing to touch '{}': a virtual machine has it open",
                                         bench.overlay().string()));
}

TEST_CASE("only a lock counts as a lock") {
    FixupBench bench;
    const fs::path absent = bench.image().parent_path() / "no-lock.qcow2";
    try {
        check_not_in_use(absent, {});
        FAIL("it ended well");
    } catch (const Error& error) {
        CHECK(error.status() == ExitStatus::failed);
    }
}

TEST_CASE("a fixup that cannot finish leaves nothing behind") {
    FixupBench bench;
    FixupRequest request = bench.request();
    std::string expected;
    SUBCASE("an obstacle") {
        bench.helper(Outcome::cannot);
        expected =
            fmt::format("'{}' cannot be made to boot as a virtual machine: grub-bios: detail",
                        bench.image().string());
    }
    SUBCASE("an error of the helper") {
        bench.script("cat > /dev/null\necho '" + encode_error(Error("it broke", "mend it")) +
                     "'\nexit 1\n");
        expected = "it broke";
    }
    SUBCASE("a deadline") {
        bench.script("sleep 30\n");
        request.timeout = std::chrono::seconds(1);
        expected = "the appliance did not end within 1 s and was stopped";
    }
    SUBCASE("nonsense") {
        bench.script("echo nonsense\n");
        expected = "the appliance sent something that is not a JSON object";
    }
    CHECK(bench.failure(request).message() == expected);
    CHECK_FALSE(fs::exists(bench.overlay()));
    CHECK_FALSE(fs::exists(bench.partial()));
    CHECK_FALSE(fs::exists(bench.report()));
}

TEST_CASE("an interrupted fixup keeps the older overlay") {
    FixupBench bench;
    static_cast<void>(bench.run(bench.request()));
    const std::string overlay = read_file(bench.overlay(), 1 << 20);
    bench.script("echo '" + encode_note("working") + "'\nsleep 30\n");
    FixupRequest other = bench.request();
    other.images[0].base_root = "ef01";
    std::stop_source source;
    bool was_working = false;
    const NoteCallback stop_it = [&](std::string_view text) {
        if (text == "working") {
            was_working = fs::exists(bench.partial());
            source.request_stop();
        }
    };
    try {
        static_cast<void>(run_fixup(other, stop_it, source.get_token()));
        FAIL("it ended well");
    } catch (const Error& error) {
        CHECK(error.status() == ExitStatus::interrupted);
    }
    CHECK(was_working);
    CHECK(fs::exists(bench.report()));
    CHECK(read_file(bench.overlay(), 1 << 20) == overlay);
    CHECK_FALSE(fs::exists(bench.partial()));
}

TEST_CASE("a plan writes no file") {
    FixupBench bench;
    bench.helper(Outcome::planned);
    FixupRequest request = bench.request();
    request.depth = Depth::look;
    CHECK_FALSE(bench.run(request).changed);
    CHECK_FALSE(fs::exists(bench.overlay()));
    CHECK_FALSE(fs::exists(bench.report()));
    CHECK(bench.asked().find("\"format\":\"raw\"") != std::string::npos);
}

TEST_CASE("an image that another run writes is locked") {
    const FixupBench bench;
    const Fd writer = open_file(bench.image(), O_RDWR);
    REQUIRE(::flock(writer.get(), LOCK_EX) == 0);
    CHECK(bench.failure(bench.request()).status() == ExitStatus::locked);
}

TEST_CASE("a second fixup of the same overlay is locked out") {
    const FixupBench bench;
    const Fd first = open_file(bench.partial(), O_RDWR | O_CREAT);
    REQUIRE(::flock(first.get(), LOCK_EX) == 0);
    const Error error = bench.failure(bench.request());
    CHECK(error.status() == ExitStatus::locked);
    CHECK(error.message() == fmt::format("another run is building '{}'", bench.overlay().string()));
    CHECK(fs::exists(bench.partial()));
}

TEST_CASE("what is left of a killed run may still be open in its appliance") {
    const FixupBench bench;
    write_file_atomically(bench.partial(), "QFI\xfb" + std::string(4096, '\0'));
    const Fd dying = open_file(bench.partial(), O_RDWR);
    struct flock qemu {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 200, .l_pid = 0
    };
    REQUIRE(::fcntl(dying.get(), F_OFD_SETLK, &qemu) == 0);
    CHECK(bench.run(bench.request()).changed);
    CHECK(fs::exists(bench.overlay()));
}

TEST_CASE("an image that is not raw is refused by its format") {
    const FixupBench bench;
    write_file_atomically(bench.image(), "QFI\xfb" + std::string(4096, '\0'));
    const Error error = bench.failure(bench.request());
    CHECK(error.status() == ExitStatus::refused);
    CHECK(error.message() ==
          fmt::format("refusing to fix '{}': it is a qcow2 image, and the base of "
                      "a fixup is raw",
                      bench.image().string()));
}

TEST_CASE("an overlay elsewhere names its base by the whole path") {
    CHECK(backing_name("/tmp/a.qcow2", "/tmp/b.img") == "b.img");
    CHECK(backing_name("/tmp/a.qcow2", "/tmp/b:c.img") == "/tmp/b:c.img");
    CHECK(backing_name("/var/a.qcow2", "/tmp/b.img") == "/tmp/b.img");
    CHECK(default_overlay("/srv/mail1.img") == "/srv/mail1.img.fixup.qcow2");
}
