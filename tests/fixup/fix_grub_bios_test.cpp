#include "fixup/fixes.hpp"
#include "fixup/grub_image.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

Facts debian() {
    MemoryGuest guest = make_debian_guest();
    return gather_facts(guest);
}

FixPlan plan_for(const Facts& facts) {
    return plan_grub_bios({.facts = facts, .wishes = {}, .files = facts.files, .before = {}});
}

} // namespace

TEST_CASE("a boot sector that loads the system's core.img is left alone") {
    const FixPlan plan = plan_for(debian());
    CHECK(plan.outcome == Outcome::not_needed);
    CHECK(plan.detail == "GRUB 2 is in the boot sector and loads the system's core.img");
}

TEST_CASE("GRUB is installed where the boot sector is empty or loads something else") {
    Facts empty = debian();
    empty.boot.disks[0].sector.assign(512, '\0');
    Facts stale = debian();
    stale.boot.disks[0].next[1000] ^= 1;
    Facts missing = debian();
    missing.boot.core_image.reset();
    for (const auto& [facts, why] :
         {std::pair(empty, "the boot sector is empty"),
          std::pair(stale, "what the boot sector loads is not /boot/grub/i386-pc/core.img"),
          std::pair(missing, "/boot/grub/i386-pc/core.img is missing")}) {
        CAPTURE(why);
        const FixPlan plan = plan_for(facts);
        REQUIRE(plan.outcome == Outcome::planned);
        CHECK(plan.detail == std::string("GRUB 2 installed, because ") + why);
        REQUIRE(plan.commands.size() == 1);
        CHECK(plan.commands[0].line == "grub-install --target=i386-pc /dev/disk/guestfs/memory");
        REQUIRE(plan.edits.size() == 1);
        CHECK(plan.edits[0].path == "/boot/grub/device.map");
        CHECK(plan.edits[0].lifetime == Lifetime::during_commands);
    }
}

TEST_CASE("the disk that GRUB goes to is the first one of the device map") {
    Facts facts = debian();
    facts.boot.disks[0].sector.assign(512, '\0');
    facts.boot.disks.insert(facts.boot.disks.begin(), DiskBoot{.sector = std::string(512, '\0')});
    facts.disk_names = {"/dev/disk/guestfs/a", "/dev/disk/guestfs/b"};
    facts.system.volumes = {{.device = "b1", .disk = 1, .partition = 1, .mount_point = "/"}};
    const FixPlan plan = plan_for(facts);
    REQUIRE(plan.outcome == Outcome::planned);
    CHECK(plan.commands.at(0).line == "grub-install --target=i386-pc /dev/disk/guestfs/b");
    CHECK(plan.edits.at(0).after == "(hd0)\t/dev/disk/guestfs/b\n(hd1)\t/dev/disk/guestfs/a\n");
}

TEST_CASE("GRUB 2 is not forced onto a disk without room for it") {
    Facts gpt = debian();
    gpt.boot.disks[0].sector.assign(512, '\0');
    gpt.system.tables = {"gpt"};
    CHECK(plan_for(gpt).outcome == Outcome::cannot);
    CHECK(plan_for(gpt).detail.find("without a bios_boot partition") != std::string::npos);
    gpt.system.volumes = {
        {.device = "1", .disk = 0, .partition = 1, .partition_type = std::string(bios_boot_type)}};
    CHECK(plan_for(gpt).outcome == Outcome::planned);

    Facts narrow = debian();
    narrow.boot.disks[0].sector.assign(512, '\0');
    narrow.system.tables = {"msdos"};
    narrow.boot.core_image = std::string(32000, 'c');
    narrow.boot.disks[0].first_partition = 63 * 512;
    CHECK(plan_for(narrow).detail ==
          "GRUB 2 needs 32000 bytes and has 31744 before the first partition");
    narrow.boot.core_image = std::string(27026, 'c');
    CHECK(plan_for(narrow).outcome == Outcome::planned);
}

TEST_CASE("a core.img outside of the bios_boot partition is not whole") {
    Facts facts = debian();
    facts.system.tables = {"gpt"};
    facts.system.volumes = {{.device = "1",
                             .disk = 0,
                             .partition = 1,
                             .partition_type = std::string(bios_boot_type),
                             .start = 1U << 20U,
                             .size = 1U << 20U}};
    CHECK(plan_for(facts).detail == "GRUB 2 installed, because the boot sector loads from outside "
                                    "of the bios_boot partition");
    facts.boot.disks[0].next_at = 1U << 20U;
    CHECK(plan_for(facts).outcome == Outcome::not_needed);
}

TEST_CASE("other boot loaders are named, and nothing is tried") {
    Facts facts = debian();
    facts.boot.disks[0].sector.assign(512, '\0');
    facts.boot.core_image.reset();
    facts.boot.grub_config = false;
    facts.boot.lilo = true;
    CHECK(plan_for(facts).outcome == Outcome::cannot);
    CHECK(plan_for(facts).detail.starts_with("the system starts by LILO"));
    facts.boot.legacy_stages = {{.path = "/boot/grub/stage2"}};
    CHECK(plan_for(facts).detail == "the system starts by GRUB 0.97");
    facts.boot.esp = EspFacts{.files = {{.directory = "debian", .name = "grubx64.efi"}}};
    CHECK(plan_for(facts).detail == "the system starts by UEFI");
    facts.boot = {.disks = {{.sector = std::string(512, '\0')}}};
    const FixPlan plan = plan_for(facts);
    CHECK(plan.outcome == Outcome::cannot);
    CHECK_FALSE(plan.hint.empty());
}

TEST_CASE("a root that no disk of the VM can be called is an obstacle") {
    Facts facts = debian();
    facts.boot.lost_devices = {"/etc/fstab:1: /dev/nvme0n1p2 / ext4 defaults 0 1"};
    const FixPlan plan = plan_for(facts);
    CHECK(plan.outcome == Outcome::cannot);
    CHECK(plan.detail == "/etc/fstab:1: /dev/nvme0n1p2 / ext4 defaults 0 1 names a disk as no disk "
                         "of the VM is called");
    CHECK(plan.hint.find("UUID") != std::string::npos);
}

TEST_CASE("a root named by its device node is a warning") {
    Facts facts = debian();
    facts.boot.device_names = {"/boot/grub/grub.cfg:9: linux /vmlinuz root=/dev/sda1"};
    const FixPlan plan = plan_for(facts);
    CHECK(plan.outcome == Outcome::not_needed);
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings[0].starts_with("/boot/grub/grub.cfg:9: linux"));
}

TEST_CASE("boot sectors are told apart") {
    std::string sector = debian().boot.disks[0].sector;
    CHECK(boot_sector_kind(sector) == BootSector::grub2);
    CHECK(core_offset(sector) == 512);
    sector[0x5C] = '\0';
    CHECK_FALSE(core_offset(sector).has_value());
    sector.replace(0x5C, 8, "\xff\xff\xff\xff\xff\xff\xff\xff");
    CHECK_FALSE(core_offset(sector).has_value());
    sector[0x3E] = '\x03';
    sector[0x3F] = '\x02';
    CHECK(boot_sector_kind(sector) == BootSector::grub_legacy);
    CHECK(boot_sector_kind(std::string(512, '\0')) == BootSector::empty);
    CHECK(boot_sector_kind(std::string(512, 'x')) == BootSector::other);
    CHECK(boot_sector_kind("short") == BootSector::empty);
    CHECK(boot_sector_kind(std::string(6, '\0') + "LILO" + std::string(502, '\0')) ==
          BootSector::lilo);
}

TEST_CASE("core.img is compared without the fields that grub-setup patches") {
    const std::string file(2000, 'c');
    std::string disk = file + "padding";
    CHECK(same_core(disk, file));
    for (const std::size_t patched : {0x1F4U, 0x1FFU, 0x210U, 0x213U, 0x218U, 0x21BU}) {
        disk[patched] = 'x';
    }
    CHECK(same_core(disk, file));
    for (const std::size_t fixed : {0U, 0x1F3U, 0x200U, 0x20FU, 0x214U, 0x21CU, 1999U}) {
        CAPTURE(fixed);
        std::string other = disk;
        other[fixed] = 'y';
        CHECK_FALSE(same_core(other, file));
    }
    CHECK_FALSE(same_core(disk.substr(0, 1999), file));
    CHECK_FALSE(same_core("", ""));
}
