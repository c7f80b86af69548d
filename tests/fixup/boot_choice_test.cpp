#include "fixup/boot_choice.hpp"

#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

MemoryGuest with_esp() {
    MemoryGuest guest = make_debian_guest();
    guest.identity.tables = {"gpt"};
    guest.identity.volumes = {{.device = "/dev/disk/guestfs/memory1",
                               .disk = 0,
                               .partition = 1,
                               .partition_type = std::string(esp_type),
                               .format = "vfat",
                               .mount_point = "/boot/efi"}};
    guest.put("/boot/efi/EFI/debian/grubx64.efi", "grub");
    return guest;
}

Loader loader_of(MemoryGuest& guest) {
    return boot_choice(gather_facts(guest)).loader;
}

} // namespace

TEST_CASE("a disk that starts both ways is started by BIOS") {
    MemoryGuest guest = with_esp();
    // Code that is left of an earlier life: nothing of it is where a GPT has room for it.
    CHECK(loader_of(guest) == Loader::uefi);
    guest.identity.volumes.push_back({.device = "/dev/disk/guestfs/memory2",
                                      .disk = 0,
                                      .partition = 2,
                                      .partition_type = std::string(bios_boot_type)});
    CHECK(loader_of(guest) == Loader::grub2);
    guest.disk.assign(512, '\0');
    CHECK(loader_of(guest) == Loader::uefi);
}

TEST_CASE("the server's inventory knows which firmware it was") {
    MemoryGuest guest = with_esp();
    coldspare::Inventory inventory;
    inventory.firmware = "bios";
    CHECK(boot_choice(gather_facts(guest, inventory)).loader == Loader::grub2);
    guest.identity.volumes.push_back({.device = "/dev/disk/guestfs/memory2",
                                      .disk = 0,
                                      .partition = 2,
                                      .partition_type = std::string(bios_boot_type)});
    inventory.firmware = "uefi";
    CHECK(boot_choice(gather_facts(guest, inventory)).loader == Loader::uefi);
}

TEST_CASE("an empty EFI system partition does not make it UEFI") {
    MemoryGuest guest = with_esp();
    guest.remove("/boot/efi/EFI/debian/grubx64.efi");
    guest.disk.assign(512, '\0');
    CHECK(loader_of(guest) == Loader::grub2);
    guest.remove("/usr/sbin/grub-install");
    CHECK(loader_of(guest) == Loader::uefi);
}

TEST_CASE("the first disk with whole boot code is the one to start from") {
    MemoryGuest guest = make_debian_guest();
    guest.other_disks = {guest.disk, guest.disk};
    guest.disk.assign(512, '\0');
    const BootChoice choice = boot_choice(gather_facts(guest));
    CHECK(choice.loader == Loader::grub2);
    CHECK(choice.disk == 1);
    CHECK(choice.wrong.empty());
}

TEST_CASE("GRUB 0.97 that works wins over GRUB 2 that does not") {
    MemoryGuest guest = make_debian_guest();
    guest.put("/boot/grub/menu.lst", "timeout 5\n");
    use_simulated_shell(guest, {"grub-legacy"});
    CHECK(loader_of(guest) == Loader::grub_legacy);
}

TEST_CASE("GRUB in the active partition counts where the disk's own code goes on to it") {
    MemoryGuest guest;
    guest.identity.volumes = {
        {.device = "1", .disk = 0, .partition = 1, .start = 63 * 512, .mount_point = "/"}};
    use_simulated_shell(guest, {"grub-legacy-active"});
    const BootChoice choice = boot_choice(gather_facts(guest));
    CHECK(choice.loader == Loader::grub_legacy);
    CHECK(choice.wrong.empty());
}
