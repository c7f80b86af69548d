#pragma once

#include "fixup/facts.hpp"
#include "fixup/nic.hpp"

#include <span>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// A network card of the virtual machine.
struct VmNic {
    std::string name; ///< inside the guest
    std::string mac;
    std::string model; ///< "virtio" or "e1000"
    friend bool operator==(const VmNic&, const VmNic&) = default;
};

/// What the virtual machine must look like for the copy to boot: fixup and the definition of the VM
/// are one decision. The words are libvirt's.
struct VmRequirements {
    std::string firmware; ///< "bios" or "uefi"
    std::string machine;  ///< "q35" or "pc"
    std::string
        disk_bus; ///< "virtio", or "scsi" (virtio-scsi) where the system insists on /dev/sda
    std::vector<VmNic> nics;
    std::string cpu;        ///< a remark for a person
    unsigned boot_disk = 0; ///< which of the disks it starts from, from 0
    std::string note;       ///< what else a person must know of the VM, or empty
    friend bool operator==(const VmRequirements&, const VmRequirements&) = default;
};

[[nodiscard]] VmRequirements vm_requirements(const Facts& facts, std::span<const NicBinding> nics);

/// A qemu command line that boots these disks so, ready to be pasted into a shell. With UEFI it
/// makes a file for the firmware's variables beside the first of them, if there is none; for a
/// device in the current directory.
[[nodiscard]] std::string qemu_command(const VmRequirements& vm,
                                       std::span<const std::string> disks);

} // namespace coldspare::fixup
