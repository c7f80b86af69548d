#include "fixup/fixes.hpp"
#include "fixup/grub_legacy_image.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

/// Debian 4 on a disk of the old geometry.
MemoryGuest etch(const std::string& boot_sector) {
    MemoryGuest guest;
    guest.identity.tables = {"msdos"};
    guest.identity.volumes = {{.device = "/dev/disk/guestfs/memory1",
                               .disk = 0,
                               .partition = 1,
                               .partition_type = "0x83",
                               .start = 63 * 512,
                               .format = "ext3",
                               .mount_point = "/"}};
    guest.put("/boot/grub/menu.lst", "timeout 5\ntitle Debian\nroot (hd0,0)\n");
    guest.put("/usr/sbin/grub", "", 0755);
    put_legacy_stages(guest);
    use_simulated_shell(guest, {boot_sector});
    return guest;
}

FixPlan plan_for(MemoryGuest guest) {
    const Facts facts = gather_facts(guest);
    return plan_grub_legacy({.facts = facts, .wishes = {}, .files = facts.files, .before = {}});
}

} // namespace

TEST_CASE("GRUB 0.97 that loads the system's stages is left alone") {
    for (const char* sector : {"grub-legacy", "grub-legacy-active"}) {
        CAPTURE(sector);
        const FixPlan plan = plan_for(etch(sector));
        CHECK(plan.outcome == Outcome::not_needed);
        CHECK(plan.detail == "GRUB 0.97 is in the boot sector and loads the system's stages");
        CHECK(plan.warnings.empty());
    }
}

TEST_CASE("GRUB 0.97 is installed by the system's own shell, by label") {
    const FixPlan plan = plan_for(etch("empty"));
    REQUIRE(plan.outcome == Outcome::planned);
    CHECK(plan.detail == "GRUB 0.97 installed, because the boot sector is empty");
    CHECK(plan.commands.at(0).line.starts_with(
        "sync; said=$(printf '%s\\n' 'device (hd0) /dev/disk/guestfs/memory' 'root (hd0,0)' "
        "'setup (hd0)' quit | /usr/sbin/grub --batch --no-floppy --device-map=/dev/null"));
}

TEST_CASE("a stage 1.5 that is not the system's is replaced") {
    MemoryGuest guest = etch("grub-legacy");
    guest.disk[2000] ^= 1;
    CHECK(plan_for(guest).detail ==
          "GRUB 0.97 installed, because what the boot sector loads is no stage1_5 of /boot/grub");
}

TEST_CASE("what GRUB 0.97 lacks is an obstacle") {
    MemoryGuest no_shell = etch("empty");
    no_shell.remove("/usr/sbin/grub");
    CHECK(plan_for(no_shell).outcome == Outcome::cannot);
    MemoryGuest on_lvm = etch("empty");
    on_lvm.identity.volumes[0].partition.reset();
    on_lvm.identity.volumes[0].disk.reset();
    CHECK(plan_for(on_lvm).outcome == Outcome::cannot);
    MemoryGuest no_menu = etch("grub-legacy");
    no_menu.remove("/boot/grub/menu.lst");
    CHECK(plan_for(no_menu).outcome == Outcome::cannot);
}

TEST_CASE("stage 1 tells where it goes on, and only a sound one does") {
    MemoryGuest guest = etch("grub-legacy");
    std::string sector = guest.disk.substr(0, 512);
    REQUIRE(legacy_jump(sector).has_value());
    CHECK(legacy_jump(sector)->to == LegacyStage::stage1_5);
    CHECK(legacy_jump(sector)->offset == 512);
    sector[0x43] = '\x80';
    CHECK(legacy_jump(sector)->to == LegacyStage::stage2);
    sector[0x43] = '\x10';
    CHECK_FALSE(legacy_jump(sector).has_value());
    CHECK_FALSE(legacy_jump("").has_value());
    CHECK_FALSE(legacy_jump(std::string(512, '\0')).has_value());
}

TEST_CASE("a stage is compared without what is written at its installation") {
    const std::string file(3000, 's');
    std::string disk = file;
    for (const std::size_t patched : {0x180U, 0x1FFU, 0x200U, 0x212U, 0x26FU}) {
        disk[patched] = 'x';
    }
    CHECK(same_stage(disk, file));
    CHECK(same_stage(disk.substr(0, 512), file));
    for (const std::size_t fixed : {0U, 0x17FU, 0x270U, 2999U}) {
        CAPTURE(fixed);
        std::string other = disk;
        other[fixed] = 'y';
        CHECK_FALSE(same_stage(other, file));
    }
    CHECK_FALSE(same_stage("", file));
    CHECK_FALSE(same_stage(file, "short"));
}

TEST_CASE("partitions of an msdos table are found, and of nothing else") {
    std::string sector(512, '\0');
    CHECK(dos_starts(sector).first == 0);
    sector.replace(510, 2, "\x55\xaa");
    sector[0x1BE + 4] = '\x83';
    sector[0x1BE + 9] = '\x08'; // 2048
    sector[0x1CE] = '\x80';
    sector[0x1CE + 4] = '\x83';
    sector[0x1CE + 8] = 63;
    CHECK(dos_starts(sector).first == 63 * 512);
    CHECK(dos_starts(sector).active == 63 * 512);
    CHECK(dos_starts(sector.substr(0, 511)).first == 0);
}
