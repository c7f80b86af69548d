#include "fixup/fixes.hpp"
#include "fixup/repair.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace coldspare::fixup;

namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

/// A Debian that only its NVRAM entry started.
MemoryGuest debian_uefi() {
    MemoryGuest guest = make_debian_guest();
    guest.remove("/boot/grub/i386-pc/core.img");
    guest.disk.assign(512, '\0');
    guest.identity.tables = {"gpt"};
    guest.identity.volumes = {{.device = "/dev/disk/guestfs/memory1",
                               .disk = 0,
                               .partition = 1,
                               .partition_type = std::string(esp_type),
                               .format = "vfat",
                               .mount_point = "/boot/efi"},
                              {.device = "/dev/disk/guestfs/memory2",
                               .disk = 0,
                               .partition = 2,
                               .format = "ext4",
                               .mount_point = "/"}};
    guest.put("/boot/efi/EFI/debian/shimx64.efi", "shim");
    guest.put("/boot/efi/EFI/debian/grubx64.efi", "grub");
    guest.put("/boot/efi/EFI/debian/mmx64.efi", "keys");
    guest.put("/boot/efi/EFI/debian/fbx64.efi", "entries");
    guest.put("/boot/efi/EFI/debian/BOOTX64.CSV", "shimx64.efi,debian");
    guest.put("/boot/efi/EFI/debian/grub.cfg", "configfile");
    return guest;
}

FixPlan plan_for(MemoryGuest& guest) {
    const Facts facts = gather_facts(guest);
    return plan_uefi_fallback({.facts = facts, .wishes = {}, .files = facts.files, .before = {}});
}

/// "FROM TO" of each copy, without the directory EFI.
std::vector<std::string> copies(const FixPlan& plan) {
    std::vector<std::string> list;
    for (const FileEdit& edit : plan.edits) {
        CHECK(edit.kind == EditKind::copy);
        const auto short_name = [](const std::string& path) {
            return path.substr(std::string("/boot/efi/EFI/").size());
        };
        list.push_back(short_name(edit.after) + " " + short_name(edit.path));
    }
    return list;
}

} // namespace

TEST_CASE("shim becomes the fallback, with what it starts beside it") {
    MemoryGuest guest = debian_uefi();
    const FixPlan plan = plan_for(guest);
    CHECK(plan.outcome == Outcome::planned);
    CHECK(copies(plan) == std::vector<std::string>{"debian/grubx64.efi BOOT/grubx64.efi",
                                                   "debian/mmx64.efi BOOT/mmx64.efi",
                                                   "debian/shimx64.efi BOOT/BOOTX64.EFI"});
}

TEST_CASE("without shim GRUB or systemd-boot becomes the fallback") {
    MemoryGuest guest = debian_uefi();
    guest.remove("/boot/efi/EFI/debian/shimx64.efi");
    CHECK(copies(plan_for(guest)) ==
          std::vector<std::string>{"debian/grubx64.efi BOOT/BOOTX64.EFI"});
    MemoryGuest other = debian_uefi();
    for (const char* name : {"shimx64.efi", "grubx64.efi", "mmx64.efi", "fbx64.efi", "grub.cfg"}) {
        other.remove(std::string("/boot/efi/EFI/debian/") + name);
    }
    other.put("/boot/efi/EFI/systemd/systemd-bootx64.efi", "systemd-boot");
    CHECK(copies(plan_for(other)) ==
          std::vector<std::string>{"systemd/systemd-bootx64.efi BOOT/BOOTX64.EFI"});
}

TEST_CASE("names on FAT are the same in upper and lower case") {
    MemoryGuest guest = debian_uefi();
    guest.put("/boot/efi/EFI/boot/bootx64.efi", "shim");
    guest.put("/boot/efi/EFI/boot/GRUBX64.EFI", "grub");
    const FixPlan plan = plan_for(guest);
    CHECK(plan.outcome == Outcome::not_needed);
    CHECK(plan.detail == "EFI/boot/bootx64.efi starts EFI/debian");
    CHECK(plan.warnings.empty());
}

TEST_CASE("a shim without its loader gets it, and one with its own fallback needs none") {
    MemoryGuest guest = debian_uefi();
    guest.put("/boot/efi/EFI/boot/bootx64.efi", "shim");
    CHECK(copies(plan_for(guest)) == std::vector<std::string>{"debian/grubx64.efi boot/grubx64.efi",
                                                              "debian/mmx64.efi boot/mmx64.efi"});
    guest.put("/boot/efi/EFI/boot/fbx64.efi", "entries");
    CHECK(plan_for(guest).outcome == Outcome::not_needed);
}

TEST_CASE("a fallback of somebody else is left, and said") {
    MemoryGuest guest = debian_uefi();
    guest.put("/boot/efi/EFI/Boot/bootx64.efi", "Windows");
    guest.put("/boot/efi/EFI/Microsoft/bootmgfw.efi", "Windows");
    const FixPlan plan = plan_for(guest);
    CHECK(plan.outcome == Outcome::not_needed);
    REQUIRE(plan.warnings.size() == 1);
    CHECK(
        plan.warnings[0].starts_with("EFI/Boot/bootx64.efi is none of the loaders in EFI/debian "));
}

TEST_CASE("of several vendors the one of this distribution is taken") {
    MemoryGuest guest = debian_uefi();
    guest.put("/boot/efi/EFI/ubuntu/grubx64.efi", "other");
    CHECK(plan_for(guest).warnings.empty());
    CHECK(copies(plan_for(guest)).back() == "debian/shimx64.efi BOOT/BOOTX64.EFI");
    guest.identity.distro = "unknown";
    CHECK(plan_for(guest).warnings.size() == 1);
}

TEST_CASE("other architectures and makers have other names") {
    MemoryGuest arm = debian_uefi();
    arm.identity.arch = "aarch64";
    arm.put("/boot/efi/EFI/debian/grubaa64.efi", "arm");
    CHECK(copies(plan_for(arm)) ==
          std::vector<std::string>{"debian/grubaa64.efi BOOT/BOOTAA64.EFI"});
    MemoryGuest small = debian_uefi();
    small.remove("/boot/efi/EFI/debian/grubx64.efi");
    small.put("/boot/efi/EFI/debian/grubia32.efi", "small");
    CHECK(copies(plan_for(small)) ==
          std::vector<std::string>{"debian/grubia32.efi BOOT/BOOTIA32.EFI"});
    MemoryGuest suse = debian_uefi();
    for (const char* name : {"shim.efi", "grub.efi", "MokManager.efi", "grub.cfg"}) {
        suse.put(std::string("/boot/efi/EFI/sles/") + name, name);
    }
    suse.identity.distro = "sles";
    CHECK(copies(plan_for(suse)) ==
          std::vector<std::string>{
              "sles/grub.efi BOOT/grub.efi", "sles/MokManager.efi BOOT/MokManager.efi",
              "sles/grub.cfg BOOT/grub.cfg", "sles/shim.efi BOOT/BOOTX64.EFI"});
    MemoryGuest old = debian_uefi();
    old.put("/boot/efi/EFI/redhat/grub.efi", "0.97");
    old.put("/boot/efi/EFI/redhat/grub.conf", "timeout=5");
    old.identity.distro = "rhel";
    CHECK(copies(plan_for(old)) == std::vector<std::string>{"redhat/grub.conf BOOT/BOOTX64.conf",
                                                            "redhat/grub.efi BOOT/BOOTX64.EFI"});
}

TEST_CASE("what UEFI lacks is an obstacle") {
    MemoryGuest full = debian_uefi();
    full.free = mebibyte;
    CHECK(plan_for(full).outcome == Outcome::cannot);
    MemoryGuest hidden = debian_uefi();
    std::erase_if(hidden.nodes,
                  [](const auto& node) { return node.first.starts_with("/boot/efi"); });
    hidden.identity.volumes[0].mount_point.clear();
    hidden.remove("/usr/sbin/grub-install");
    CHECK(plan_for(hidden).outcome == Outcome::cannot);
    CHECK(plan_for(hidden).detail.find("no place in /etc/fstab") != std::string::npos);
}

TEST_CASE("a UEFI system is mended, and the report names what FAT cannot show") {
    MemoryGuest guest = debian_uefi();
    const RepairReport report = repair(guest, {.nics = {{"eth0", "52:54:00:12:34:56"}}},
                                       Depth::mend, [](std::string_view) {});
    CHECK(report.vm.firmware == "uefi");
    CHECK_FALSE(report.vm.note.empty());
    CHECK(guest.nodes.at("/boot/efi/EFI/BOOT/BOOTX64.EFI").content == "shim");
    for (const char* path : {"/boot/efi/EFI/BOOT", "/boot/efi/EFI/BOOT/BOOTX64.EFI",
                             "/boot/efi/EFI/BOOT/grubx64.efi"}) {
        CAPTURE(path);
        CHECK(std::ranges::count(report.files, path) == 1);
    }
    const std::vector<std::string> disks{"/srv/a.qcow2"};
    CHECK(qemu_command(report.vm, disks)
              .starts_with("cp -n /usr/share/OVMF/OVMF_VARS_4M.fd '/srv/a.qcow2.vars.fd' && "
                           "qemu-system-x86_64 -machine q35,accel=kvm:tcg -cpu max -m 2048 -drive "
                           "if=pflash,format=raw,readonly=on,"
                           "file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive "
                           "'if=pflash,format=raw,file=/srv/a.qcow2.vars.fd' -drive "));
}
