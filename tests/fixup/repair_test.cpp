#include "fixup/repair.hpp"

#include "base/error.hpp"
#include "fixup/guest_text.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

const std::vector<NicBinding> nics{{"eth0", "52:54:00:12:34:56"}};
const NoteCallback quiet = [](std::string_view) {};

/// The ids of the fixes that ended so.
std::vector<std::string> ids_of(const RepairReport& report, Outcome outcome) {
    std::vector<std::string> ids;
    for (const FixOutcome& fix : report.fixes) {
        if (fix.outcome == outcome) {
            ids.push_back(fix.id);
        }
    }
    return ids;
}

} // namespace

TEST_CASE("a look plans and writes nothing") {
    MemoryGuest guest = make_debian_guest();
    const auto before = guest.nodes;
    const RepairReport report = repair(guest, {.nics = nics}, Depth::look, quiet);
    CHECK(guest.nodes == before);
    CHECK(ids_of(report, Outcome::planned) ==
          std::vector<std::string>{"udev-persistent-net", "initramfs-virtio", "marker"});
    CHECK(report.plan_text.find("+SUBSYSTEM==\"net\"") != std::string::npos);
    CHECK(report.plan_text.find("run inside the copy: update-initramfs") != std::string::npos);
    CHECK(report.system == "debian 12.5, x86_64");
}

TEST_CASE("a mended guest needs nothing more, and only lasting edits are left") {
    MemoryGuest guest = make_debian_guest();
    const auto before = guest.nodes;
    const RepairReport report = repair(guest, {.nics = nics}, Depth::mend, quiet);
    CHECK(ids_of(report, Outcome::applied) ==
          std::vector<std::string>{"udev-persistent-net", "initramfs-virtio", "marker"});
    std::vector<std::string> changed;
    for (const auto& [path, node] : guest.nodes) {
        if (!before.contains(path) || before.at(path) != node) {
            changed.push_back(path);
        }
    }
    CHECK(changed == std::vector<std::string>{"/boot/initrd.img-6.1.0-1-amd64",
                                              "/etc/coldspare-standby.json",
                                              "/etc/initramfs-tools/modules", debian_rules_path});
    const auto mended = guest.nodes;
    const RepairReport again = repair(guest, {.nics = nics}, Depth::mend, quiet);
    CHECK(again.is_clean());
    CHECK(again.files.empty());
    CHECK(guest.nodes == mended);
}

TEST_CASE("GRUB is installed by the disk's label, and the device map comes back") {
    MemoryGuest guest = make_debian_guest();
    guest.put("/boot/grub/device.map", "(hd0) /dev/disk/by-id/ata-OLD\n");
    guest.disk.assign(512, '\0');
    const RepairReport report = repair(guest, {.nics = nics}, Depth::mend, quiet);
    CHECK(ids_of(report, Outcome::applied) == std::vector<std::string>{"udev-persistent-net",
                                                                       "initramfs-virtio",
                                                                       "grub-bios", "marker"});
    CHECK(std::ranges::count(guest.lines,
                             "grub-install --target=i386-pc /dev/disk/guestfs/memory") == 1);
    CHECK(guest.nodes.at("/boot/grub/device.map").content == "(hd0) /dev/disk/by-id/ata-OLD\n");
}

TEST_CASE("a grub-install that reports success and did nothing is found out") {
    MemoryGuest guest = make_debian_guest();
    guest.disk.assign(512, '\0');
    const auto shell = guest.shell;
    guest.shell = [shell](MemoryGuest& self, const std::string& line) {
        return line.starts_with("grub-install") ? CommandOutput{} : shell(self, line);
    };
    CHECK_THROWS_WITH_AS(
        static_cast<void>(repair(guest, {.nics = nics}, Depth::mend, quiet)),
        "the fix 'grub-bios' did not help: GRUB 2 installed, because the boot sector is empty",
        Error);
}

TEST_CASE("an initramfs that lost a driver is found out") {
    MemoryGuest guest = make_debian_guest();
    const auto shell = guest.shell;
    guest.shell = [shell](MemoryGuest& self, const std::string& line) {
        if (line.starts_with("update-initramfs")) {
            self.write("/boot/initrd.img-6.1.0-1-amd64",
                       "a/virtio_pci.ko\na/virtio_blk.ko\na/virtio_scsi.ko\na/ext4.ko\n", 0644);
            return CommandOutput{};
        }
        return shell(self, line);
    };
    CHECK_THROWS_WITH_AS(static_cast<void>(repair(guest, {.nics = nics}, Depth::mend, quiet)),
                         "the new initramfs of kernel 6.1.0-1-amd64 lost modules that the old one "
                         "had: ahci, sd_mod",
                         Error);
}

TEST_CASE("an initramfs that a rebuild did not write is found out") {
    MemoryGuest guest = make_debian_guest();
    const auto shell = guest.shell;
    guest.shell = [shell](MemoryGuest& self, const std::string& line) {
        return line.starts_with("find '") ? CommandOutput{} : shell(self, line);
    };
    try {
        static_cast<void>(repair(guest, {.nics = nics}, Depth::mend, quiet));
        FAIL("it ended well");
    } catch (const Error& error) {
        CHECK(error.message() == "'update-initramfs -u -k 6.1.0-1-amd64' reported success and did "
                                 "not write '/boot/initrd.img-6.1.0-1-amd64'");
        CHECK(error.hint() ==
              "is update_initramfs=no set in /etc/initramfs-tools/update-initramfs.conf?");
    }
}

TEST_CASE("an initramfs behind a link is seen to be written") {
    MemoryGuest guest = make_debian_guest();
    const auto shell = guest.shell;
    guest.shell = [shell](MemoryGuest& self, const std::string& line) {
        return line.starts_with("find '/' ")
                   ? CommandOutput{0, "/mnt/boot/initrd.img-6.1.0-1-amd64\n"}
                   : shell(self, line);
    };
    CHECK(repair(guest, {.nics = nics}, Depth::mend, quiet).files ==
          std::vector<std::string>{"/etc/coldspare-standby.json", "/etc/initramfs-tools/modules",
                                   debian_rules_path, "/mnt/boot/initrd.img-6.1.0-1-amd64"});
    CHECK(std::ranges::count(
              guest.lines,
              "find '/boot/initrd.img-6.1.0-1-amd64' -cnewer /dev/coldspare-begin -print") == 1);
}

TEST_CASE("the first and the last second count among the changes, and users' files do not") {
    MemoryGuest guest = make_debian_guest();
    guest.identity.mount_points = {"/", "/srv/users", "/usr/it's"};
    static_cast<void>(repair(guest, {.nics = nics}, Depth::mend, quiet));
    CHECK(std::ranges::count(
              guest.lines, "find '/' '/usr/it'\\''s' -xdev ! -type d -cnewer /dev/coldspare-begin "
                           "! -cnewer /dev/coldspare-end -print") == 1);
    for (const char* line : {"touch -d '1970-01-01 UTC 1699999999 seconds' /dev/coldspare-begin",
                             "touch -d '1970-01-01 UTC 1700000001 seconds' /dev/coldspare-end"}) {
        CHECK(std::ranges::count(guest.lines, line) == 1);
    }
    CHECK(std::ranges::any_of(guest.lines, [](const std::string& line) {
        return line.starts_with("for d in") && line.find("-name .git -prune") != std::string::npos;
    }));
}

TEST_CASE("what a command prints comes as one line that a terminal can bear") {
    CHECK(last_words(" a\r\nb\x1b[2J\n", 100) == "a; b?[2J");
    CHECK(last_words("0123456789", 4) == "... 6789");
    CHECK(last_words("", 4).empty());
}

TEST_CASE("a command that says no ends the repair with its last words") {
    MemoryGuest guest = make_debian_guest();
    const auto shell = guest.shell;
    guest.shell = [shell](MemoryGuest& self, const std::string& line) {
        return line.starts_with("update-initramfs")
                   ? CommandOutput{1, "gzip: stdout: No space left on device\n"}
                   : shell(self, line);
    };
    CHECK_THROWS_WITH_AS(static_cast<void>(repair(guest, {.nics = nics}, Depth::mend, quiet)),
                         "'update-initramfs -u -k 6.1.0-1-amd64' inside the copy ended with status "
                         "1: gzip: stdout: No space left on device",
                         Error);
}

TEST_CASE("an obstacle stops the repair before the first change") {
    MemoryGuest guest = make_debian_guest();
    guest.free = 1;
    const auto before = guest.nodes;
    const RepairReport report = repair(guest, {.nics = nics}, Depth::mend, quiet);
    REQUIRE(report.obstacle() != nullptr);
    CHECK(report.obstacle()->id == "initramfs-virtio");
    CHECK(guest.nodes == before);
}

TEST_CASE("a file that changed since it was looked at is not overwritten") {
    MemoryGuest guest = make_debian_guest();
    const Facts facts = gather_facts(guest);
    const Plan plan = make_plan(facts, {.nics = nics});
    guest.put(debian_rules_path, "# somebody was here\n");
    const auto before = guest.nodes;
    CHECK_THROWS_WITH_AS(apply_plan(guest, plan, quiet),
                         "'/etc/udev/rules.d/70-persistent-net.rules' inside the copy is not what "
                         "the plan was made for",
                         Error);
    CHECK(guest.nodes == before);
}

TEST_CASE("the virtual machine is described for this system") {
    MemoryGuest guest = make_debian_guest();
    const RepairReport report = repair(guest, {.nics = nics}, Depth::look, quiet);
    CHECK(report.vm.firmware == "bios");
    CHECK(report.vm.machine == "q35");
    CHECK(report.vm.disk_bus == "virtio");
    REQUIRE(report.vm.nics.size() == 1);
    CHECK(report.vm.nics[0] == VmNic{"eth0", "52:54:00:12:34:56", "virtio"});
    CHECK(qemu_command(report.vm, std::vector<std::string>{"/srv/a,b's.qcow2"}) ==
          "qemu-system-x86_64 -machine q35,accel=kvm:tcg -cpu max -m 2048 "
          "-drive 'file=/srv/a,,b'\\''s.qcow2,format=qcow2',if=virtio "
          "-netdev user,id=net0,restrict=on "
          "-device virtio-net-pci,netdev=net0,mac=52:54:00:12:34:56");
}

TEST_CASE("a system that insists on /dev/sda gets a disk bus that has one") {
    MemoryGuest guest = make_debian_guest();
    guest.put("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n");
    const RepairReport report = repair(guest, {.nics = nics}, Depth::look, quiet);
    CHECK(report.vm.disk_bus == "scsi");
    CHECK(report.warnings.size() == 1);
}

TEST_CASE("a copy without room is told before anything is written") {
    MemoryGuest guest = make_debian_guest();
    guest.free = 1 << 20;
    const auto before = guest.nodes;
    // The initramfs asks for its own room first; without it the rest is counted.
    CHECK_THROWS_WITH_AS(
        static_cast<void>(
            repair(guest, {.nics = nics, .skip = {"initramfs-virtio"}}, Depth::mend, quiet)),
        "the copy's root file system has 1.0 MiB free, and the changes need 4.0 MiB", Error);
    CHECK(guest.nodes == before);
}

TEST_CASE("the report keeps what was run and what it printed") {
    MemoryGuest guest = make_debian_guest();
    const RepairReport report = repair(guest, {.nics = nics}, Depth::mend, quiet);
    CHECK(report.commands ==
          std::vector<CommandRecord>{{"initramfs-virtio", "update-initramfs -u -k 6.1.0-1-amd64",
                                      "update-initramfs: Generating\n"}});
}
