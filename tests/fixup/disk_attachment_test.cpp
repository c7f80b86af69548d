#include "fixup/disk_attachment.hpp"

#include "fixup/vm_requirements.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

Facts with_modules(const std::string& version, const std::set<std::string>& loadable) {
    return {.kernels = {{.version = version, .loadable = loadable}}};
}

FileTree fstab(const std::string& text) {
    FileTree files;
    files.put("/etc/fstab",
              {.status = {.kind = FileKind::file}, .content = text, .readable = true});
    return files;
}

std::string bus_of(const Facts& facts) {
    const DiskAttachment disk = disk_attachment(facts, facts.files);
    return disk.model.empty() ? disk.bus : disk.bus + " " + disk.model;
}

} // namespace

TEST_CASE("the disk is attached to what the kernel knows, virtio first") {
    CHECK(bus_of(with_modules("6.1", {"virtio_pci", "virtio_blk", "ata_piix"})) == "virtio");
    CHECK(bus_of(with_modules("6.1", {"virtio_pci", "virtio_scsi"})) == "scsi virtio-scsi");
    CHECK(bus_of(with_modules("2.6.24", {"ata_piix", "ahci"})) == "ide");
    CHECK(bus_of(with_modules("4.4", {"ahci", "mptsas"})) == "sata");
    CHECK(bus_of(with_modules("2.6.18", {"ata_piix", "sym53c8xx"})) == "ide");
    CHECK(bus_of(with_modules("2.6.18", {"mptsas"})) == "scsi lsisas1068");
    CHECK(bus_of(with_modules("2.6.18", {"ext3"})).empty());
}

TEST_CASE("a kernel whose IDE disks are called hda gets a controller that the system's names fit") {
    Facts facts = with_modules("2.6.18", {"piix", "ide_disk", "ata_piix", "sym53c8xx"});
    CHECK(bus_of(facts) == "ide");
    facts.files = fstab("/dev/hda1 / ext3 defaults 0 1\n");
    CHECK(disk_attachment(facts, facts.files).drivers ==
          std::vector<std::string_view>{"piix", "ide_disk"});
    facts.files = fstab("/dev/sda1 / ext3 defaults 0 1\n");
    CHECK(bus_of(facts) == "scsi lsilogic");
}

TEST_CASE("the virtual machine fits the kernel's time and the distribution's CPU") {
    const VmRequirements old = vm_requirements(with_modules("2.6.24", {"ata_piix", "8139too"}),
                                               std::vector<NicBinding>{{"eth0", "52:54:00:0:0:1"}});
    CHECK(old.machine == "pc");
    CHECK(old.disk_bus == "ide");
    CHECK(old.nics[0].model == "rtl8139");
    const std::vector<std::string> disks{"/a"};
    CHECK(qemu_command(old, disks).find("-drive 'file=/a,format=qcow2',if=ide") !=
          std::string::npos);
    Facts rhel = with_modules("5.14.0", {"virtio_pci", "virtio_blk"});
    rhel.system.distro = "rhel";
    rhel.system.product = "Red Hat Enterprise Linux 9.4 (Plow)";
    CHECK(vm_requirements(rhel, {}).cpu.starts_with("x86-64-v2"));
    rhel.system.product = "10.0";
    CHECK(vm_requirements(rhel, {}).cpu.starts_with("x86-64-v3"));
    rhel.system.arch = "aarch64";
    CHECK(vm_requirements(rhel, {}).machine == "virt");
}
