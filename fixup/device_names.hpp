#pragma once

#include "base/inventory.hpp"
#include "fixup/guest.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Which volume of the copy did the old machine mean by /dev/hda1?
namespace coldspare::fixup {

/// What kind of disk a device node belongs to; `link` is a name in /dev/disk/by-id or by-path.
enum class DiskFamily { sd, hd, vd, xvd, nvme, mmc, cciss, multipath, link };

/// A device node that depends on hardware, taken apart.
struct DiskName {
    std::string disk; ///< "/dev/cciss/c0d0", "/dev/disk/by-id/ata-X"
    DiskFamily family = DiskFamily::sd;
    std::optional<unsigned> number;    ///< which of its family, from 0, where the name says it
    std::optional<unsigned> partition; ///< from 1; nothing: the whole disk
    friend bool operator==(const DiskName&, const DiskName&) = default;
};

/// Takes a name apart. Nothing for what keeps its name on other hardware: UUID=, /dev/VG/LV,
/// /dev/md0, /dev/disk/by-uuid, and what is no disk. `aliases` are names that multipath's
/// configuration gives to disks.
[[nodiscard]] std::optional<DiskName> parse_disk_name(std::string_view name,
                                                      const std::set<std::string>& aliases = {});

/// Whether a virtual machine can have a disk of this name at all (/dev/sda on a SCSI bus).
[[nodiscard]] bool vm_offers(const DiskName& name);

/// The old machine's names. A value.
class DeviceNames {
public:
    /// `mentioned` are the names by which the system starts: with two kinds of disks in one machine
    /// (/dev/sda and /dev/nvme0n1) the numbers alone do not say which disk of the copy is meant.
    /// `root` is the name of the root file system, or empty; its volume is known, and with it the
    /// number of its disk. `inventory` is what the server said while it ran: it decides wherever it
    /// says something.
    DeviceNames(const GuestSystem& system, const std::vector<std::string>& mentioned,
                std::string_view root, std::set<std::string> aliases = {},
                const std::optional<Inventory>& inventory = std::nullopt);

    [[nodiscard]] std::optional<DiskName> parse(std::string_view name) const {
        return parse_disk_name(name, aliases_);
    }
    /// The volume that the old machine meant, or nothing if that is not certain.
    [[nodiscard]] const GuestVolume* find(std::string_view name) const;
    /// Which disk of the copy that is, or nothing.
    [[nodiscard]] std::optional<unsigned> disk_of(const DiskName& name) const;
    /// Whether it is on a disk that was not cloned: the inventory says so, or there are too few.
    [[nodiscard]] bool is_beyond(const DiskName& name) const;
    /// The name of the root file system that the constructor was given.
    [[nodiscard]] const std::string& root() const { return root_text_; }

    /// "UUID=..." of a volume, or empty if it has none of its own.
    [[nodiscard]] std::string uuid_name(const GuestVolume& volume) const;

private:
    [[nodiscard]] std::string server_disk(const DiskName& name) const;
    [[nodiscard]] const FileSystemFacts* server_volume(const DiskName& name) const;
    [[nodiscard]] const GuestVolume* with_uuid(std::string_view uuid) const;
    [[nodiscard]] std::optional<unsigned> disk_by_inventory(const std::string& disk) const;
    [[nodiscard]] std::optional<unsigned> disk_by_number(const DiskName& name) const;

    std::vector<GuestVolume> volumes_;
    std::optional<Inventory> inventory_;
    std::set<std::string> aliases_;
    std::set<DiskFamily> families_; ///< that are mentioned
    std::string root_text_;
    std::optional<DiskName> root_; ///< the root's name where it fits the root's volume
    unsigned root_disk_ = 0;
    unsigned disk_count_ = 1;
};

/// Whether a volume can be what a table calls `type`: "ext3" may be mounted as "ext4", "auto" is
/// anything.
[[nodiscard]] bool fits_type(const GuestVolume& volume, std::string_view type);

} // namespace coldspare::fixup
