#include "standby/standby_copy.hpp"

#include "base/files.hpp"
#include "fixup/binding.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

namespace coldspare::standby {

namespace fs = std::filesystem;

namespace {

using std::chrono::system_clock;

/// Copies as receive and fixup leave them, as far as read_copy() looks.
struct Bench {
    TemporaryDirectory room;
    StandbyFile standby{.name = "mail1"};

    std::string image(const std::string& name) {
        const std::string path = (room.path() / name).string();
        standby.machine.disks.push_back({.source = name, .image = path});
        return path;
    }
    static void clone(const fs::path& path) { write_file_atomically(path, "a disk"); }
    static fixup::Layer layer(const fs::path& clone) {
        return {.base = clone.filename().string(),
                .base_stamp = fixup::stamp_of(clone),
                .overlay = clone.filename().string() + ".fixup.qcow2"};
    }
    static void fix_up(const fs::path& clone, std::vector<fixup::Layer> layers) {
        write_file_atomically(clone.string() + ".fixup.qcow2", "an overlay");
        fixup::Binding binding{
            .created = "2026-11-22T03:05:14Z", .layers = std::move(layers), .accelerator = "tcg"};
        binding.report.system = "debian 12.5, x86_64";
        binding.report.vm = {.firmware = "bios", .machine = "q35", .disk_bus = "virtio"};
        write_file_atomically(clone.string() + ".fixup.json", fixup::encode_binding(binding));
    }
    [[nodiscard]] StandbyCopy read() const { return read_copy(standby, room.path() / "state"); }
    [[nodiscard]] Error complaint() const {
        return thrown_by([&] { static_cast<void>(read()); });
    }
};

} // namespace

TEST_CASE("a fixed-up image is started from its overlay") {
    Bench bench;
    const std::string image = bench.image("mail1.img");
    Bench::clone(image);
    Bench::fix_up(image, {Bench::layer(image)});
    const StandbyCopy copy = bench.read();
    REQUIRE(copy.disks.size() == 1);
    CHECK(copy.disks[0].path == image + ".fixup.qcow2");
    CHECK(copy.disks[0].format == "qcow2");
    CHECK_FALSE(copy.disks[0].device);
    CHECK(copy.clones == std::vector<std::string>{"mail1.img"});
    CHECK(copy.needs.disk_bus == "virtio");
    CHECK(copy.system == "debian 12.5, x86_64");
    CHECK(copy.accelerator == "tcg");
    CHECK(copy.fixed == "2026-11-22T03:05:14Z");
    CHECK(copy.created.empty());
}

TEST_CASE("of generations the link stays and tells which one it is") {
    Bench bench;
    const std::string image = bench.image("mail1.img");
    const std::string generation = image + ".gen3";
    Bench::clone(generation);
    Bench::clone(image + ".gen4"); // newer, and not fixed up yet
    fs::create_symlink("mail1.img.gen4", image);
    Bench::fix_up(generation, {Bench::layer(generation)});
    fs::create_symlink("mail1.img.gen3.fixup.qcow2", image + ".fixup.qcow2");
    const StandbyCopy copy = bench.read();
    CHECK(copy.disks[0].path == image + ".fixup.qcow2");
    CHECK(copy.clones == std::vector<std::string>{"mail1.img.gen3"});
}

TEST_CASE("without a copy or a fixup the hint says what to run") {
    Bench bench;
    const std::string image = bench.image("mail1.img");
    CHECK(bench.complaint().message() ==
          "there is no copy of the server's disk in '" + image + "'");
    Bench::clone(image);
    CHECK(bench.complaint().message() == "the copy '" + image + "' has no fixup yet");
    CHECK(bench.complaint().hint() == "make it bootable: coldspare fixup " + image);
    write_file_atomically(image + ".fixup.qcow2", "an overlay");
    CHECK(bench.complaint().message() == "the copy '" + image + "' has no finished fixup");
}

TEST_CASE("a fixup of another content, or of other disks, is not this one's") {
    Bench bench;
    const std::string image = bench.image("mail1.img");
    Bench::clone(image);
    fixup::Layer older = Bench::layer(image);
    older.base_stamp.modified_ns -= 1;
    Bench::fix_up(image, {older});
    CHECK(bench.complaint().message() == "the copy '" + image + "' was renewed after its fixup");

    const std::string second = bench.image("mail1-data.img");
    Bench::clone(second);
    Bench::fix_up(second, {Bench::layer(second)});
    CHECK(bench.complaint().message() ==
          "the copy '" + image + "' was fixed up with 1 disks, and the standby has 2");
    for (const std::string& each : {image, second}) {
        Bench::fix_up(each, {Bench::layer(second), Bench::layer(image)});
    }
    CHECK(bench.complaint().message() ==
          "the copy '" + image + "' was fixed up with the disks in another order");
    for (const std::string& each : {image, second}) {
        Bench::fix_up(each, {Bench::layer(image), Bench::layer(second)});
    }
    CHECK(bench.read().disks.size() == 2);
}

TEST_CASE("the firmware's variables lie beside the first disk") {
    Bench bench;
    const std::string image = bench.image("mail1.img");
    Bench::clone(image);
    CHECK(firmware_variables_of(bench.standby, "/state") == image + ".vars.fd");
}

TEST_CASE("an age is counted from a time in UTC") {
    const system_clock::time_point now = system_clock::from_time_t(1795318000);
    CHECK(age_of("2026-11-22T03:05:14Z", now) == std::chrono::seconds(1795318000 - 1795316714));
    CHECK_FALSE(age_of("", now));
    CHECK_FALSE(age_of("yesterday", now));
    CHECK_FALSE(age_of("2026-11-22T03:05:14Z and more", now));
}

} // namespace coldspare::standby
