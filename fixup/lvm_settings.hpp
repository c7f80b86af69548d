#pragma once

#include "fixup/guest.hpp"
#include "fixup/text_edit.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Which disks LVM looks at: lvm.conf(5) and its devices file.
namespace coldspare::fixup {

/// An array of patterns in lvm.conf: filter or global_filter.
struct LvmFilter {
    std::string name;
    unsigned line = 0;
    std::size_t first = 0;             ///< offset in the text behind '['
    std::vector<std::string> patterns; ///< "a|^/dev/sda|"
};

/// The filters that are in force (comments are not). At most 16, each of at most 1000 patterns.
[[nodiscard]] std::vector<LvmFilter> lvm_filters(std::string_view text);

/// Whether a filter lets a device through: the first pattern that matches decides, and without one
/// it does. A pattern that is not understood counts against the device.
[[nodiscard]] bool lets_through(const LvmFilter& filter, std::string_view device);

/// Whether a filter of lvm.conf keeps LVM from the VM's disks (/dev/vd, /dev/sd).
[[nodiscard]] bool hides_vm_disks(std::string_view text);

/// lvm.conf with the VM's disks (/dev/vd, and as many /dev/sd as there are `disks`) let through by
/// every filter that does not, as its first patterns. All that it let through before, it still
/// does. The text itself where that does not help, because it is no text that LVM would take.
[[nodiscard]] std::string with_vm_disks(std::string_view text, std::size_t disks);

/// What becomes of /etc/lvm/devices/system.devices.
enum class DevicesFile {
    keep,    ///< the copy has none of its volumes
    remove,  ///< it has all of them: LVM then uses every disk that it sees
    rewrite, ///< it has some, or more will come: the others must stay hidden or known as they are
};

/// Whether the system will see volumes that are none of the copy (iSCSI, say): then the list is the
/// fence around what guests of theirs have on them.
enum class Elsewhere { nothing, volumes_to_come };

struct DevicesRewrite {
    DevicesFile what = DevicesFile::keep;
    std::string after; ///< of `rewrite`
    unsigned cloned = 0;
    unsigned elsewhere = 0; ///< physical volumes that are not in the copy
};

/// Decides it. An entry of a cloned physical volume gets the type `devname`, with which LVM looks
/// for its PVID on all disks, if it is not already so.
[[nodiscard]] DevicesRewrite rewrite_devices_file(std::string_view text,
                                                  const std::vector<GuestVolume>& volumes,
                                                  Elsewhere network = Elsewhere::nothing);

} // namespace coldspare::fixup
