#pragma once

#include "fixup/vm_requirements.hpp"
#include "standby/standby_file.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The virtual machine of a standby as libvirt's XML (https://libvirt.org/formatdomain.html).
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
    std::string uuid;                  ///< and identity
    std::vector<std::string> overlays; ///< qcow2, in the order of the disks
    std::string network; ///< the isolated one of libvirt; empty: user-mode, restricted
    std::string variables_path;
    std::string console_log;    ///< where the serial console is written to
    std::string console_socket; ///< where it can be typed at; a unix socket that qemu listens at
    std::string agent_socket;   ///< where the guest agent answers
};

/// The standby at rest: autostart is not part of it. Its metadata (namespace
/// metadata_namespace) marks it as cold, and its title and description say so to a person. Pure:
/// the same input gives the same bytes. The domain's UUID is made from the standby's name and its
/// first MAC, so that defining it again changes it in place.
[[nodiscard]] std::string domain_xml(const DomainInput& input);

/// The same machine for a drill: other disks, no way out, the console recorded; marked as a drill
/// of that standby.
[[nodiscard]] std::string drill_domain_xml(const DomainInput& input, const DrillInput& drill);

inline constexpr std::string_view metadata_namespace = "https://coldspare.invalid/domain/1";

/// What the metadata of a domain say, or nothing if it is none of ours.
struct DomainMark {
    std::string standby;
    std::string kind; ///< "cold", "drill", "active"
    friend bool operator==(const DomainMark&, const DomainMark&) = default;
};
[[nodiscard]] std::optional<DomainMark> parse_domain_mark(std::string_view domain_xml);

/// What of a defined domain is not as domain_xml() would have it, one sentence each: libvirt adds
/// much, but what we asked for must be there.
[[nodiscard]] std::vector<std::string> domain_differences(std::string_view wanted,
                                                          std::string_view defined);

} // namespace coldspare::standby
