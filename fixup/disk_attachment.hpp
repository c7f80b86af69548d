#pragma once

#include "fixup/facts.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// How the VM's disk is attached so that this kernel finds it. The words are libvirt's.
struct DiskAttachment {
    std::string bus;   ///< "virtio", "scsi", "sata", "ide"; empty if nothing fits
    std::string model; ///< of a "scsi" controller: "virtio-scsi", "lsilogic", "lsisas1068"
    std::vector<std::string_view> drivers; ///< without which the disk does not appear
    std::vector<std::string_view> extras;  ///< welcome beside them: one more way to attach it
};

/// virtio where the kernel that starts by default has it (virtio-scsi where the system insists on
/// /dev/sda); else what qemu emulates and the kernel knows, IDE first: every BIOS starts from that.
/// `files` as the fixes for the names of disks have left them: a name that they could replace
/// insists on nothing.
[[nodiscard]] DiskAttachment disk_attachment(const Facts& facts, const FileTree& files);

/// Whether this kernel can use a disk that is attached so, if its initramfs has the drivers.
[[nodiscard]] bool knows(const KernelFacts& kernel, const DiskAttachment& disk);

/// Drivers that the kernel has as modules and its initramfs has not.
[[nodiscard]] std::vector<std::string> missing_drivers(const KernelFacts& kernel,
                                                       const DiskAttachment& disk);

/// Whether the copy has a program that builds an initramfs, and this host can run it.
[[nodiscard]] bool can_rebuild(const Facts& facts);

} // namespace coldspare::fixup
