// What stands beside overlays, and what the next run makes of it.
#include "fixup/binding.hpp"

#include "tests/support/fixup_bench.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>

using namespace coldspare;
using namespace coldspare::fixup;
namespace fs = std::filesystem;

TEST_CASE("a server with two disks gets two overlays with one report") {
    const FixupBench bench;
    const fs::path second = bench.image().parent_path() / "mail1-data.img";
    write_file_atomically(second, std::string(1 << 20, 'z'));
    FixupRequest request = bench.request();
    request.images.push_back({.image = second, .base_root = "0123"});
    const FixupResult made = bench.run(request);
    REQUIRE(made.overlays.size() == 2);
    CHECK(made.overlays[1] == default_overlay(second));
    CHECK(fs::exists(made.overlays[1]));
    CHECK(read_binding(bench.report()) == read_binding(binding_path(made.overlays[1])));
    SUBCASE("the same again is a look") {
        CHECK_FALSE(fs::exists(pending_path(bench.overlay())));
        static_cast<void>(bench.run(request));
        CHECK(bench.asked().find("\"depth\":\"mend\"") != std::string::npos);
        CHECK(bench.asked().find("mail1-data.img.fixup.qcow2") != std::string::npos);
    }
    SUBCASE("without the other disk it is another standby") {
        CHECK(bench.run(bench.request()).changed);
    }
    SUBCASE("a machine wrote to the second") {
        fs::last_write_time(made.overlays[1], fs::file_time_type::min() + std::chrono::hours(1));
        CHECK(bench.failure(request).status() == ExitStatus::refused);
    }
    SUBCASE("the same image twice is a mistake") {
        request.images[1].image = bench.image();
        const Error error = bench.failure(request);
        CHECK(error.status() == ExitStatus::usage);
        CHECK(error.message() == fmt::format("'{}' is named twice", bench.image().string()));
    }
}

TEST_CASE("whatever a killed run has left, the next one goes on from it") {
    const FixupBench bench;
    static_cast<void>(bench.run(bench.request()));
    const std::string report = read_file(bench.report(), 1 << 20);
    SUBCASE("before the overlay had its name") {
        write_file_atomically(pending_path(bench.overlay()), report);
        fs::remove(bench.report());
        fs::remove(bench.overlay());
    }
    SUBCASE("before its report was there") {
        write_file_atomically(pending_path(bench.overlay()), report);
        fs::remove(bench.report());
    }
    SUBCASE("with the report of the one before") {
        Binding earlier = parse_binding(report);
        earlier.layers[0].overlay_stamp.modified_ns -= 1;
        write_file_atomically(pending_path(bench.overlay()), report);
        write_file_atomically(bench.report(), encode_binding(earlier));
    }
    SUBCASE("before the note was removed") {
        write_file_atomically(pending_path(bench.overlay()), report);
    }
    SUBCASE("an unfinished overlay") {
        write_file_atomically(bench.partial(), "torn");
    }
    static_cast<void>(bench.run(bench.request()));
    CHECK(finished_stamp(read_binding(bench.report()), bench.overlay()) ==
          stamp_of(bench.overlay()));
    CHECK_FALSE(fs::exists(bench.partial()));
}

TEST_CASE("undo removes the overlay and its report, and nothing that a machine wrote to") {
    const FixupBench bench;
    static_cast<void>(bench.run(bench.request()));
    SUBCASE("as it was made") {
        CHECK(undo_fixup(bench.request().images, Place::overlay, {}) ==
              std::vector{bench.overlay(), bench.report()});
        CHECK_FALSE(fs::exists(bench.overlay()));
        CHECK_FALSE(fs::exists(bench.report()));
        CHECK(fs::exists(bench.image()));
        CHECK(undo_fixup(bench.request().images, Place::overlay, {}).empty());
    }
    SUBCASE("written to") {
        fs::last_write_time(bench.overlay(), fs::file_time_type::min() + std::chrono::hours(1));
        try {
            undo_fixup(bench.request().images, Place::overlay, {});
            FAIL("it ended well");
        } catch (const Error& error) {
            CHECK(error.status() == ExitStatus::refused);
            CHECK(error.message() ==
                  fmt::format("refusing to remove '{}': a virtual machine wrote to it since fixup "
                              "made it",
                              bench.overlay().string()));
        }
        CHECK(fs::exists(bench.overlay()));
        CHECK(fs::exists(bench.report()));
    }
}

namespace {

/// A request to fix the image itself, with a helper that writes "new" at byte 4096 of the overlay.
FixupRequest in_place(FixupBench& bench) {
    FixupRequest request = bench.request();
    request.place = Place::in_place;
    request.images[0].overlay = bench.overlay();
    bench.script(fmt::format("cat > /dev/null\n"
                             "qemu-io -f qcow2 -c 'write -P 110 4096 512' '{}' > /dev/null\n"
                             "cat << 'END'\n{}\nEND\n",
                             bench.partial().string(),
                             encode_report({.fixes = {{"grub-bios", Outcome::applied, "", ""}}})));
    return request;
}

} // namespace

TEST_CASE("in place: what was there is kept, and comes back") {
    FixupBench bench;
    const std::string before = read_file(bench.image(), 2 << 20);
    std::string after = before;
    after.replace(4096, 512, std::string(512, 'n'));
    const FixupRequest request = in_place(bench);
    const fs::path undo = bench.overlay().string() + ".undo";
    CHECK(bench.run(request).changed);
    CHECK(read_file(bench.image(), 2 << 20) == after);
    CHECK(fs::exists(undo));
    CHECK(fs::exists(bench.report()));
    CHECK_FALSE(fs::exists(bench.overlay()));
    CHECK_FALSE(fs::exists(bench.partial()));
    SUBCASE("again: a look") {
        bench.helper(Outcome::not_needed);
        CHECK_FALSE(bench.run(request).changed);
        CHECK(bench.asked().find("\"depth\":\"look\"") != std::string::npos);
    }
    SUBCASE("other wishes start from the clone") {
        FixupRequest other = request;
        other.wishes.nics[0].mac = "52:54:00:99:99:99";
        CHECK(bench.run(other).changed);
        CHECK(read_file(bench.image(), 2 << 20) == after);
        CHECK(undo_fixup(request.images, Place::in_place, {}).size() == 1);
        CHECK(read_file(bench.image(), 2 << 20) == before);
    }
    SUBCASE("undo") {
        CHECK(undo_fixup(request.images, Place::in_place, {}) == std::vector{bench.image()});
        CHECK(read_file(bench.image(), 2 << 20) == before);
        CHECK_FALSE(fs::exists(undo));
        CHECK_FALSE(fs::exists(bench.report()));
        CHECK(undo_fixup(request.images, Place::in_place, {}).empty());
    }
    SUBCASE("a run that was killed while it wrote is put back by the next") {
        fs::remove(bench.report());
        std::string torn = after;
        torn.replace(4200, 300, std::string(300, '?'));
        write_file_atomically(bench.image(), torn);
        CHECK(bench.run(request).changed);
        CHECK(read_file(bench.image(), 2 << 20) == after);
        CHECK(undo_fixup(request.images, Place::in_place, {}).size() == 1);
        CHECK(read_file(bench.image(), 2 << 20) == before);
    }
    SUBCASE("a run that fails puts back by itself") {
        undo_fixup(request.images, Place::in_place, {});
        bench.script(fmt::format("cat > /dev/null\n"
                                 "qemu-io -f qcow2 -c 'write -P 110 4096 512' '{}' > /dev/null\n"
                                 "mkdir -p '{}/x'\ncat << 'END'\n{}\nEND\n",
                                 bench.partial().string(), bench.report().string(),
                                 encode_report(RepairReport{})));
        CHECK_THROWS_AS(static_cast<void>(bench.run(request)), Error);
        CHECK(read_file(bench.image(), 2 << 20) == before);
    }
    SUBCASE("a machine wrote to it") {
        after.replace(4100, 1, "!");
        write_file_atomically(bench.image(), after);
        CHECK(bench.failure(request).status() == ExitStatus::refused);
        CHECK_THROWS_AS(undo_fixup(request.images, Place::in_place, {}), Error);
        CHECK(read_file(bench.image(), 2 << 20) == after);
    }
    SUBCASE("a killed run of an earlier clone is not put back over a new one") {
        fs::remove(bench.report());
        const std::string renewed(before.size(), 'w');
        write_file_atomically(bench.image(), renewed);
        FixupRequest next = request;
        next.images[0].base_root = "ef01";
        CHECK(undo_fixup(next.images, Place::in_place, {}).empty());
        CHECK(read_file(bench.image(), 2 << 20) == renewed);
        CHECK_FALSE(fs::exists(undo));
    }
    SUBCASE("a second run waits for nobody") {
        const Fd first = open_file(bench.overlay().string() + ".lock", O_RDWR | O_CREAT);
        REQUIRE(::flock(first.get(), LOCK_EX) == 0);
        CHECK(bench.failure(request).status() == ExitStatus::locked);
        CHECK_THROWS_AS(undo_fixup(request.images, Place::in_place, {}), Error);
    }
    SUBCASE("it was cloned anew") {
        write_file_atomically(bench.image(), before);
        CHECK(bench.run(request).changed);
        CHECK(read_file(bench.image(), 2 << 20) == after);
    }
}
