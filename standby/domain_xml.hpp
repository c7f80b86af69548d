#pragma once

#include "fixup/vm_requirements.hpp"
#include "standby/domain_mark.hpp"
#include "standby/standby_file.hpp"

#include <string>
#include <string_view>
#include <vector>

/// The virtual machine of a standby as libvirt's XML (https://libvirt.org/formatdomain.html).
///
/// What makes it up, and why:
///
/// - Every PCI device of ours sits on the root bus in a slot of its own. There virtio devices are
///   "transitional", as fixup expects: behind the root ports where libvirt would put them on q35,
///   kernels before 4.0 do not see their disk. And a drill has each at the same place.
/// - Processor: with KVM the host's own, since a standby does not move while it runs. Without it,
///   qemu64, which boots fastest; all that is emulated where the copy needs x86-64-v2 or later.
/// - Disks: devices go past the host's cache, which nobody else flushes; image files through it,
///   since not every file system can do without. The guest's flushes count in both. What it
///   discards is given back.
/// - A display of plain VGA without a screen, for pictures of it. No USB, no balloon, no sound.
/// - `lease`: virtlockd and sanlock lock the disks by themselves (auto_disk_leases, on by default)
///   once qemu.conf names one of them as lock_manager; the domain needs nothing for it, and a
///   <lease> of its own would be ignored where none is configured. What it does here: image files
///   go past the cache as well, so that the next host with the lease sees all that was written.
/// - A panic of the kernel is seen by qemu (pvpanic): the standby starts again, a drill stays as it
///   is, to be looked at.
namespace coldspare::standby {

/// What a domain is made of besides the standby's file.
struct DomainInput {
    const StandbyFile& standby;
    /// What fixup found out that the copy needs, or a guess from an inventory.
    fixup::VmRequirements needs;
    /// What the virtual machine starts from, in the order of the server's disks: overlays of fixup,
    /// or devices that were fixed in place.
    struct Disk {
        std::string path; ///< absolute
        bool device = false;
        std::string format; ///< "qcow2" or "raw"
    };
    std::vector<Disk> disks;
    bool kvm = false;
    std::string firmware_code;      ///< with UEFI: the firmware's file on the hypervisor
    std::string firmware_variables; ///< with UEFI: the template of its variables
    std::string variables_path;     ///< with UEFI: the standby's own variables
    std::string version;            ///< of coldspare
};

/// What a run on a snapshot has instead.
struct DrillInput {
    std::string domain;                ///< the drill's own name
    std::string uuid;                  ///< and identity: drill_uuid(), or another one
    std::vector<std::string> overlays; ///< qcow2, in the order of the disks, one for each
    std::string network; ///< the isolated one of libvirt; empty: user-mode, restricted
    std::string variables_path;
    std::string console_log;    ///< where the serial console is written to
    std::string console_socket; ///< where it can be typed at; a unix socket that qemu listens at
    std::string agent_socket;   ///< where the guest agent answers
};

/// The standby at rest: autostart is not part of it. Its metadata (standby/domain_mark.hpp) marks
/// it as cold, and its title and description say so to a person. Pure: the same input gives the
/// same bytes, and libvirt's schema takes them. Its UUID is domain_uuid(), so that defining it
/// again changes it in place. Throws Error (usage) for what no machine can be: more than four disks
/// at an IDE controller, UEFI without a firmware, a MAC of a group, a text that XML cannot hold.
[[nodiscard]] std::string domain_xml(const DomainInput& input);

/// The same machine for a drill: other disks, no way out, the console recorded; marked as a drill
/// of that standby. The guest sees the same MACs, places of devices, serial numbers and system UUID
/// (SMBIOS). A restricted network is made by arguments to qemu, for libvirt 9 has no word for it:
/// such a card is none of libvirt's, and where it fails there is no network, never an open one. The
/// log of the console needs virtlogd, or stdio_handler = "file" in qemu.conf.
[[nodiscard]] std::string drill_domain_xml(const DomainInput& input, const DrillInput& drill);

/// Made from the standby's name and its first MAC (standby/name_uuid.hpp).
[[nodiscard]] std::string domain_uuid(const StandbyFile& standby);
[[nodiscard]] std::string drill_uuid(const StandbyFile& standby);

/// What of a defined domain is not as domain_xml() would have it, one sentence each: libvirt adds
/// much, but what we asked for must be there. A disk, a card or a device of the host more than
/// asked for is one, too. The version of coldspare is none. Throws Error if one is no XML.
[[nodiscard]] std::vector<std::string> domain_differences(std::string_view wanted,
                                                          std::string_view defined);

} // namespace coldspare::standby
