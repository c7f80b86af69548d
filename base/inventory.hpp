#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a machine is: the facts that a copy of its disks does not carry, or not where they can be
/// read. Made on the machine while it runs (clone/gather_inventory.hpp), stored with the clone, and
/// read by fixup. The JSON form: docs/FORMATS.md 8.
///
/// All of it is best effort: an empty text, an empty list and 0 mean "not known". Nothing here is
/// a secret, and nothing here is proved: what contradicts the copy itself is wrong.
namespace coldspare {

/// How a network interface came to be. Only physical ones have a card that the copy will miss.
enum class NicKind { physical, bond, bridge, vlan, other };

[[nodiscard]] std::string_view word(NicKind kind);

/// A network interface. MACs are lower case with colons: "00:0d:61:44:90:12".
struct NicFacts {
    std::string name;
    /// The card's own, also while a bond has given it another one; empty for what is no card.
    std::string permanent_mac;
    std::string mac; ///< at the moment
    NicKind kind = NicKind::other;
    std::string driver;                ///< "e1000e"
    std::string bus_address;           ///< "0000:02:00.0" on PCI, "1-1:1.0" on USB
    std::string master;                ///< the bond or bridge that it is a port of
    std::string lower;                 ///< vlan: the interface below
    unsigned vlan_id = 0;              ///< vlan: its number
    std::vector<std::string> altnames; ///< other names that it answers to: "enp2s0"
    unsigned name_assign_type = 0;     ///< 1: the kernel's, 3: by user space, 4: renamed
    unsigned speed = 0;                ///< Mbit/s
    bool up = false;
    std::vector<std::string> addresses; ///< "192.0.2.10/24"

    bool operator==(const NicFacts&) const = default;
};

/// A disk, whole; links without "/dev/disk/by-id/" and "/dev/disk/by-path/".
struct InventoryDisk {
    std::string name;       ///< "/dev/sda"
    std::uint64_t size = 0; ///< bytes
    std::uint32_t logical_sector = 0;
    std::string model;
    std::string serial;
    std::string wwn;
    std::vector<std::string> by_id;
    std::vector<std::string> by_path;

    bool operator==(const InventoryDisk&) const = default;
};

/// What libblkid recognised on a device.
struct FileSystemFacts {
    std::string device; ///< "/dev/sda1", "/dev/mapper/vg0-root"
    std::string type;   ///< "ext4", "swap", "LVM2_member", "crypto_LUKS", ...
    std::string uuid;
    std::string label;
    std::string partuuid;

    bool operator==(const FileSystemFacts&) const = default;
};

/// A device that the device mapper makes: LVM, crypt, multipath.
struct MappedDevice {
    std::string name;               ///< "vg0-root"
    std::string uuid;               ///< "LVM-...", "CRYPT-LUKS2-...", "mpath-..."
    std::vector<std::string> below; ///< kernel names of what it lies on: "sda2"

    bool operator==(const MappedDevice&) const = default;
};

/// A session with an iSCSI target that was open.
struct IscsiSession {
    std::string target;    ///< its name: "iqn.2003-01.org.linux-iscsi.storage1:mail"
    std::string portal;    ///< "192.0.2.50:3260", "[fd00::1]:3260": as it was configured
    std::string address;   ///< the same of the connection: another one where the target sent it on
    std::string initiator; ///< the machine's own name in it
    std::vector<std::string> disks; ///< that it gives: "/dev/sdb"

    bool operator==(const IscsiSession&) const = default;
};

/// Everything. Device names are those of the machine at that moment.
struct Inventory {
    std::string created; ///< RFC 3339, by the machine's clock
    std::string program; ///< "coldspare 0.1.0"
    std::string hostname;
    std::string system;       ///< "Debian GNU/Linux 12 (bookworm)"
    std::string architecture; ///< "x86_64"
    unsigned cpus = 0;        ///< processors that are switched on, each thread of a core
    std::string cpu_model;    ///< "Intel(R) Xeon(R) CPU E5-2630 v4 @ 2.20GHz"
    std::uint64_t memory = 0; ///< bytes that the kernel has: a little less than are built in
    std::string kernel;       ///< "6.1.0-38-amd64"
    std::string cmdline;      ///< what it was started with
    std::vector<std::string> modules;
    std::string firmware;            ///< "bios" or "uefi"
    std::optional<bool> secure_boot; ///< absent: not known, as with "bios"
    std::string boot_disk;           ///< "/dev/sda": the one that the firmware started from
    /// Of the file system at "/" while this was made, and the disks that it lies on. If this is not
    /// the root of the copy, a live system or another one has looked: then the hardware is right,
    /// and what comes from files (fstab, services, initramfs_tool, ...) is of that other system.
    std::string root_uuid;
    std::vector<std::string> root_disks;

    std::vector<NicFacts> nics;
    std::vector<InventoryDisk> disks;
    std::vector<FileSystemFacts> file_systems;
    std::vector<MappedDevice> mapped;
    std::vector<IscsiSession> iscsi_sessions;

    std::string fstab;    ///< /etc/fstab, passwords taken out
    std::string crypttab; ///< /etc/crypttab, likewise
    std::string mdstat;   ///< /proc/mdstat
    std::string multipath_bindings;

    std::string initramfs_tool;  ///< "update-initramfs", "dracut", "mkinitrd"; empty: none found
    std::string glibc_version;   ///< "2.36"
    std::string systemd_version; ///< "252"
    /// What starts at boot: "ssh.service", and "apache2" where it is a script of SysV.
    std::vector<std::string> services_enabled;
    std::vector<std::string> services_active; ///< units that run
    std::string selinux;                      ///< "enforcing", "permissive", "disabled"
    std::string selinux_configured;           ///< the same in /etc/selinux/config
    bool tpm = false;                         ///< there is one
    std::vector<std::string> tpm_bindings;    ///< volumes of crypttab that only this TPM opens

    bool operator==(const Inventory&) const = default;
};

inline constexpr unsigned inventory_version = 1;
inline constexpr std::size_t largest_inventory = std::size_t{1} << 20; ///< bytes of JSON
inline constexpr std::size_t longest_inventory_list = 4096;
inline constexpr std::size_t longest_inventory_text = 4096;
/// Of a file's whole text: fstab, crypttab, mdstat, multipath_bindings.
inline constexpr std::size_t longest_inventory_file = 128 * 1024;

/// One line of JSON. Lists and texts beyond the limits are cut or left out, in the order of what
/// can be missed best, so that parse_inventory() takes it.
[[nodiscard]] std::string encode_inventory(Inventory inventory);

/// Reads what encode_inventory() gave, from this version or a later one. A member that is missing
/// gives an empty value, and one that is not known is ignored. Texts come out printable(). Throws
/// Error that names the member if one has another type, is beyond its limit, or is a MAC address or
/// an interface name that cannot be one.
[[nodiscard]] Inventory parse_inventory(std::string_view text);

/// `text` as a MAC address in lower case with colons, whatever of the three notations it is in and
/// of 6 to 20 bytes; empty if it is none, or is all zeros.
[[nodiscard]] std::string normal_mac(std::string_view text);

/// Whether the kernel would take it as the name of a network interface, and a configuration file
/// without quoting.
[[nodiscard]] bool is_interface_name(std::string_view text);

} // namespace coldspare
