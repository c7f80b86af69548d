#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// What may stand in a standby's file, one question each. A complaint is the end of a sentence
/// ("does not begin with '/'"), and empty if there is none. Who writes such a file asks the same as
/// who reads it.
namespace coldspare::standby {

inline constexpr std::size_t most_nics = 16;
inline constexpr std::size_t most_volumes = 64;
inline constexpr std::size_t most_names = 256; ///< in a list of services, ports or files
inline constexpr unsigned most_cpus = 1024;
inline constexpr std::uint64_t least_memory = std::uint64_t{64} << 20;
inline constexpr std::uint64_t most_memory = std::uint64_t{16} << 40;

/// Absolute, without "." and ".." and doubled or last slashes: one path has one form.
[[nodiscard]] std::string complaint_about_path(std::string_view text);

/// Below a directory: the same without the first slash.
[[nodiscard]] std::string complaint_about_inner_path(std::string_view text);

/// What libvirt and the files that it makes can be called after: a domain or a network.
[[nodiscard]] std::string complaint_about_libvirt_name(std::string_view text);

/// libvirt's URI: "qemu:///system", "qemu+ssh://host/system".
[[nodiscard]] std::string complaint_about_uri(std::string_view text);

/// A host name or an address.
[[nodiscard]] std::string complaint_about_host(std::string_view text);

/// "HOST:PORT", and "[ADDRESS:]PORT" (clone/address.hpp).
[[nodiscard]] std::string complaint_about_connect(std::string_view text);
[[nodiscard]] std::string complaint_about_listen(std::string_view text);

/// The name of a network card or of a bridge: 1 to 15 bytes, and what fixup can pin.
[[nodiscard]] std::string complaint_about_nic_name(std::string_view text);

/// The address of a card that a virtual machine can have: six bytes, no group address, and none
/// that begins with fe, which libvirt keeps for its own end of the cable.
[[nodiscard]] std::string complaint_about_mac(std::string_view text);

/// How a server's disk is named to `receive`.
[[nodiscard]] std::string complaint_about_disk_source(std::string_view text);

/// A UUID of a file system ("4fd2...", "1234-ABCD"), and a WWID ("naa.6001405...").
[[nodiscard]] std::string complaint_about_uuid(std::string_view text);
[[nodiscard]] std::string complaint_about_wwid(std::string_view text);

/// The name of an iSCSI target as storage has it, which is not always as RFC 3720 wants it: some
/// have upper case. What the standby calls itself is fixup/iscsi_name.hpp.
[[nodiscard]] std::string complaint_about_target(std::string_view text);

/// "143", "tcp/25", "udp/53".
[[nodiscard]] std::string complaint_about_port(std::string_view text);

} // namespace coldspare::standby
