#include "clone/uses.hpp"

#include "tests/support/fake_sys.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> sentences(const std::vector<Use>& uses) {
    std::vector<std::string> list;
    for (const Use& use : uses) {
        list.push_back(use.what);
    }
    return list;
}

using List = std::vector<std::string>;

constexpr const char* scsi = "pci0000:00/0000:00:1f.2/host0/target0:0:0/0:0:0:0/block";

/// /dev/sda with sda1 and sda2.
struct Server {
    FakeSys fake;
    fs::path disk = fake.add_disk(scsi, "sda", 8, 0);
    fs::path first = fake.add_partition(disk, 1, 8, 1);
    fs::path second = fake.add_partition(disk, 2, 8, 2);

    [[nodiscard]] std::vector<Use> uses(unsigned minor, unsigned major = 8) const {
        return uses_of_device(::makedev(major, minor), fake.roots());
    }
};

} // namespace

TEST_CASE("a disk that nobody uses has no uses") {
    const Server server;
    CHECK(server.uses(0).empty());
    CHECK(server.uses(1).empty());
    CHECK(server.uses(99).empty()); // there is no such device
}

TEST_CASE("a mounted partition is a use of the disk and not of its neighbour") {
    Server server;
    server.fake.mount("8:1", "/srv/my\\040files", "rw,relatime", "ext4", "/dev/sda1");
    const std::vector<Use> uses = server.uses(0);
    REQUIRE(uses.size() == 1);
    CHECK(uses[0] == Use{UseKind::mount, "sda1", "/srv/my files",
                         "'sda1' is mounted read-write at '/srv/my files'",
                         "unmount '/srv/my files'", true});
    CHECK(server.uses(1) == uses);
    CHECK(server.uses(2).empty());
    const Error error = in_use("/dev/sda", uses);
    CHECK(error.message() == "refusing to overwrite '/dev/sda': 'sda1' is mounted read-write at "
                             "'/srv/my files'");
    CHECK(error.hint() == "unmount '/srv/my files'");
    CHECK(error.status() == ExitStatus::refused);
}

TEST_CASE("a partition of a disk that is used as a whole is in use") {
    Server server;
    server.fake.mount("8:0", "/srv", "ro,relatime", "ext4", "/dev/sda");
    const std::vector<Use> uses = server.uses(2);
    REQUIRE(sentences(uses) == List{"'sda' is mounted read-only at '/srv'"});
    CHECK_FALSE(uses[0].writes);
}

TEST_CASE("swap is a use") {
    Server server;
    server.fake.swap("/dev/sda2");
    const std::vector<Use> uses = server.uses(0);
    REQUIRE(sentences(uses) == List{"'sda2' is used as swap"});
    CHECK(uses[0].way_out == "run 'swapoff /dev/sda2'");
    CHECK(server.uses(1).empty());
}

TEST_CASE("a partition in an active volume group names the group and what is mounted of it") {
    Server server;
    const fs::path root =
        server.fake.add_map("dm-0", 0, "my--vg-root", "LVM-abcdef", server.second);
    server.fake.add_map("dm-1", 1, "my--vg-home", "LVM-abcdeg", server.second);
    server.fake.mount("253:0", "/mnt", "rw", "xfs", "/dev/mapper/my--vg-root");
    const std::vector<Use> uses = server.uses(0);
    CHECK(sentences(uses) == List{"'sda2' is a physical volume of the active volume group 'my-vg'",
                                  "'my--vg-root' is mounted read-write at '/mnt'"});
    CHECK(in_use("/dev/sda", uses).hint() == "unmount '/mnt', then run 'vgchange -an my-vg'");
    CHECK(uses[0].kind == UseKind::lvm);
    CHECK(uses[0].device == "sda2");
    CHECK(uses[0].by == "my-vg");
    // The logical volume itself, as a target.
    CHECK(sentences(server.uses(0, 253)) == List{"'my--vg-root' is mounted read-write at '/mnt'"});
    CHECK(server.uses(1, 253).empty());
}

TEST_CASE("what the running system lives on has no way out but another target") {
    Server server;
    server.fake.add_map("dm-0", 0, "vg-root", "LVM-abcdef", server.second);
    server.fake.mount("253:0", "/", "rw", "xfs", "/dev/mapper/vg-root");
    CHECK(in_use("/dev/sda", server.uses(0)).hint() ==
          "this system runs from it: choose another target");
}

TEST_CASE("a path of a multipath device is refused and the way out is that device") {
    FakeSys fake;
    const fs::path one = fake.add_disk("host0/rport-0:0-0/block", "sdb", 8, 16);
    const fs::path other = fake.add_disk("host1/rport-1:0-0/block", "sdc", 8, 32);
    for (const fs::path& path : {one, other}) {
        FakeSys::set(path / "device/wwid", "naa.600\n");
        FakeSys::set(path / "size", "2048\n");
    }
    const fs::path map = fake.add_map("dm-3", 3, "mpatha", "mpath-3600", one);
    FakeSys::hold(other, map);
    const std::vector<Use> uses = uses_of_device(::makedev(8, 16), fake.roots());
    REQUIRE(sentences(uses) == List{"'sdb' is a path of the multipath device 'mpatha'"});
    CHECK(in_use("/dev/sdb", uses).hint() == "write to '/dev/mapper/mpatha' instead");
    CHECK(uses_of_device(::makedev(253, 3), fake.roots()).empty());
    // A partition of it, by kpartx.
    fake.add_map("dm-4", 4, "mpatha-part1", "part1-mpath-3600", map);
    fake.mount("253:4", "/srv", "rw", "ext4", "/dev/mapper/mpatha-part1");
    CHECK(sentences(uses_of_device(::makedev(253, 3), fake.roots())) ==
          List{"'mpatha' has the partition 'mpatha-part1'",
               "'mpatha-part1' is mounted read-write at '/srv'"});
}

TEST_CASE("without multipath the other path to a used disk is in use as well") {
    FakeSys fake;
    const fs::path one = fake.add_disk("host0/session1/block", "sdb", 8, 16);
    const fs::path other = fake.add_disk("host1/session2/block", "sdc", 8, 32);
    for (const fs::path& path : {one, other}) {
        FakeSys::set(path / "device/wwid", "naa.600\n");
        FakeSys::set(path / "size", "2048\n");
    }
    CHECK(uses_of_device(::makedev(8, 32), fake.roots()).empty());
    fake.mount("8:16", "/srv", "rw", "ext4", "/dev/sdb");
    const std::vector<Use> uses = uses_of_device(::makedev(8, 32), fake.roots());
    CHECK(sentences(uses) ==
          List{"'sdb' is another path to the same disk", "'sdb' is mounted read-write at '/srv'"});
    CHECK(in_use("/dev/sdc", uses).hint() == "unmount '/srv'");
    // Also if it was enlarged, and only one path has been told.
    FakeSys::set(one / "size", "4096\n");
    CHECK(uses_of_device(::makedev(8, 32), fake.roots()).size() == 2);
    // Not the same disk after all.
    FakeSys::set(one / "device/wwid", "naa.601\n");
    CHECK(uses_of_device(::makedev(8, 32), fake.roots()).empty());
}

TEST_CASE("a member of a running md array is refused and so is what lies on it") {
    Server server;
    const fs::path array = server.fake.add_disk("virtual/block", "md0", 9, 0);
    fs::create_directories(array / "md");
    FakeSys::hold(server.first, array);
    server.fake.add_partition(array, 1, 259, 0);
    server.fake.mount("259:0", "/srv", "rw", "ext4", "/dev/md0p1");
    const std::vector<Use> uses = server.uses(0);
    CHECK(sentences(uses) == List{"'sda1' is a member of the md array 'md0'",
                                  "'md01' is mounted read-write at '/srv'"});
    CHECK(in_use("/dev/sda", uses).hint() == "unmount '/srv', then run 'mdadm --stop /dev/md0'");
}

TEST_CASE("dm-crypt, bcache and other holders are named") {
    Server server;
    server.fake.add_map("dm-0", 0, "secret", "CRYPT-LUKS2-aa-secret", server.first);
    const fs::path cache = server.fake.add_disk("virtual/block", "bcache0", 251, 0);
    fs::create_directories(cache / "bcache");
    FakeSys::hold(server.second, cache);
    FakeSys::hold(server.disk, server.fake.add_disk("virtual/block", "drbd0", 147, 0));
    CHECK(sentences(server.uses(0)) == List{"'sda' is held by 'drbd0'",
                                            "'sda1' is opened by dm-crypt as 'secret'",
                                            "'sda2' is part of the bcache device 'bcache0'"});
}

TEST_CASE("each device of a mounted btrfs is in use though its mount has another number") {
    Server server;
    for (const char* name : {"sda1", "sda2"}) {
        FakeSys::set(server.fake.roots().sys / "fs/btrfs/1234/devices" / name, "");
    }
    CHECK(sentences(server.uses(2)) == List{"'sda2' is part of a btrfs that is mounted"});
    server.fake.mount("0:45", "/pool", "rw", "btrfs", "/dev/sda1");
    CHECK(sentences(server.uses(2)) == List{"'sda2' is mounted read-write at '/pool'"});
    CHECK(in_use("/dev/sda2", server.uses(2)).hint() == "unmount '/pool'");
}

TEST_CASE("a refusal with many reasons stays readable") {
    Server server;
    for (const char* point : {"/a", "/b", "/c", "/d", "/e", "/f"}) {
        server.fake.mount("8:1", point, "rw", "ext4", "/dev/sda1");
    }
    const Error error = in_use("/dev/sda", server.uses(0));
    CHECK(error.message() ==
          "refusing to overwrite '/dev/sda': 'sda1' is mounted read-write at '/a', 'sda1' is "
          "mounted read-write at '/b', 'sda1' is mounted read-write at '/c', 'sda1' is mounted "
          "read-write at '/d' and 2 more");
    CHECK(error.hint() == "unmount '/f', then unmount '/e', then unmount '/d', then unmount '/c', "
                          "and so on: 'coldspare disks /dev/sda' lists all");
}

TEST_CASE("devices that hold each other in a circle come to an end") {
    Server server;
    const fs::path map = server.fake.add_map("dm-0", 0, "odd", "", server.disk);
    FakeSys::hold(map, server.disk);
    CHECK(server.uses(0).size() == 2);
}

TEST_CASE("every kind of use has a word of its own") {
    std::vector<std::string_view> words;
    for (int kind = 0; kind <= static_cast<int>(UseKind::other_path); ++kind) {
        const std::string_view word = word_of(static_cast<UseKind>(kind));
        CHECK(std::ranges::find(words, word) == words.end());
        words.push_back(word);
    }
    CHECK(word_of(UseKind::mount) == "mount");
    CHECK(word_of(UseKind::program) == "program");
    CHECK(word_of(UseKind::other_path) == "other-path");
}

} // namespace coldspare::clone
