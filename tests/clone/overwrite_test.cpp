#include "clone/overwrite.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone {

namespace {

DiskEntry disk() {
    DiskEntry entry;
    entry.facts.name = "/dev/sdb";
    entry.facts.kind = DiskKind::block;
    entry.facts.size = std::uint64_t{500} << 30;
    entry.facts.model = "Samsung SSD 870";
    entry.facts.serial = "S5Y1 NG";
    entry.facts.wwn = "naa.5002";
    entry.table = "gpt";
    entry.partitions = {
        {.number = 1, .size = 512 << 20, .content = {.type = "vfat", .label = "EFI"}},
        {.number = 2, .size = 8 << 20},
        {.number = 3, .size = std::uint64_t{400} << 30, .content = {.type = "LVM2_member"}},
        {.number = 4, .size = 1024, .extended = true}};
    return entry;
}

} // namespace

TEST_CASE("a disk says in one line what is on it") {
    DiskEntry entry = disk();
    CHECK(summary_of(entry) ==
          "500.0 GiB, Samsung SSD 870, serial S5Y1 NG; gpt table: vfat 'EFI', unknown, "
          "LVM2_member (physical volume of LVM)");
    entry.partitions.assign(8, {.content = {.type = "ext4"}});
    CHECK(summary_of(entry) == "500.0 GiB, Samsung SSD 870, serial S5Y1 NG; gpt table: ext4, ext4, "
                               "ext4, ext4, ext4, ext4, ...");
    entry.table.clear();
    entry.content = {.type = "linux_raid_member", .label = "mail:0"};
    CHECK(summary_of(entry) == "500.0 GiB, Samsung SSD 870, serial S5Y1 NG; linux_raid_member "
                               "'mail:0' (member of an md array)");
    entry.content = {};
    CHECK(summary_of(entry) == "500.0 GiB, Samsung SSD 870, serial S5Y1 NG");
    entry.content.several = true;
    CHECK(summary_of(entry) ==
          "500.0 GiB, Samsung SSD 870, serial S5Y1 NG; signatures of more than one kind");
}

TEST_CASE("the question shows what is there and the answer is the serial number") {
    const OverwriteQuestion question = question_about(disk());
    CHECK(question.lines == std::vector<std::string>{
                                "size   500.0 GiB (536870912000 bytes)",
                                "model  Samsung SSD 870",
                                "serial S5Y1 NG",
                                "WWN    naa.5002",
                                "holds  gpt table",
                                "    1   512.0 MiB  vfat 'EFI'",
                                "    2     8.0 MiB  unknown",
                                "    3   400.0 GiB  LVM2_member (physical volume of LVM)",
                            });
    CHECK(question.noun == "serial number");
    CHECK(question.answer == "S5Y1 NG");
    CHECK(is_answer(question, " S5Y1 NG \r"));
    for (const char* wrong : {"", "S5Y1", "s5y1 ng", "S5Y1  NG", "/dev/sdb", "yes", "naa.5002"}) {
        CAPTURE(wrong);
        CHECK_FALSE(is_answer(question, wrong));
    }
}

TEST_CASE("without a serial number the WWN is asked for, then the path") {
    DiskEntry entry = disk();
    entry.facts.serial.clear();
    CHECK(question_about(entry).noun == "WWN");
    CHECK(question_about(entry).answer == "naa.5002");
    entry.facts.wwn.clear();
    CHECK(question_about(entry).noun == "path");
    CHECK(question_about(entry).answer == "/dev/sdb");
}

TEST_CASE("a partition is asked for with its number, for its neighbours have the same disk") {
    DiskEntry entry = disk();
    entry.facts.name = "/dev/sdb2";
    entry.hardware.partition = 2;
    CHECK(question_about(entry).noun == "serial number, with '-part2' behind it");
    CHECK(question_about(entry).answer == "S5Y1 NG-part2");
    entry.facts.serial.clear();
    entry.facts.wwn.clear();
    CHECK(question_about(entry).answer == "/dev/sdb2");
}

TEST_CASE("an image is asked for by its file name") {
    DiskEntry entry;
    entry.facts.name = "/srv/standby/mail.img";
    entry.facts.size = 1536;
    const OverwriteQuestion question = question_about(entry);
    CHECK(question.lines == std::vector<std::string>{"size   1.5 KiB (1536 bytes)"});
    CHECK(question.noun == "file name");
    CHECK(question.answer == "mail.img");
}

TEST_CASE("signatures that make bytes part of something else are told as such") {
    CHECK(member_of({.type = "bcache"}) == "part of a bcache device");
    CHECK(member_of({.type = "isw_raid_member"}) == "member of a firmware RAID");
    CHECK(member_of({.type = "ext4"}).empty());
    CHECK(member_of({}).empty());
    CHECK(text_of({}).empty());
    CHECK(text_of({.type = "swap", .label = "s"}) == "swap 's'");
}

} // namespace coldspare::clone
