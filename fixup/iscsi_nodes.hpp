#pragma once

#include "fixup/file_tree.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// open-iscsi's files, as the plan sees them.

/// Whether the system has an open-iscsi that can log in anywhere.
[[nodiscard]] bool has_open_iscsi(const FileTree& files);

/// InitiatorName= of the system, or empty.
[[nodiscard]] std::string initiator_name(const FileTree& files);

/// The node records: one file for each way to a volume, nodes/TARGET/ADDRESS,PORT[,GROUP[/IFACE]]
/// below /etc/iscsi (Debian) or /var/lib/iscsi (Red Hat, SUSE).
[[nodiscard]] std::vector<std::string> iscsi_node_records(const FileTree& files);

/// The node records and interface records: whatever can be bound to an initiator name.
[[nodiscard]] std::vector<std::string> iscsi_bindings(const FileTree& files);

/// An entry of fstab for a block device that comes over the network and is mounted at boot.
struct NetworkMount {
    std::string path;
    std::size_t line = 0;
};

/// Those with _netdev and without noauto or nofail, except NFS and its like.
[[nodiscard]] std::vector<NetworkMount> network_block_mounts(std::string_view fstab);

} // namespace coldspare::fixup
