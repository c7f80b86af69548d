#pragma once

#include "clone/gather_inventory.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// The parts of gather_inventory(): each fills its members. None of them fails.
namespace coldspare::clone::inventory {

/// inventory_nics.cpp: nics.
void add_nics(const MachineSources& machine, Inventory& all);

/// inventory_disks.cpp: disks, file_systems, mapped, mdstat, multipath_bindings.
void add_disks(const MachineSources& machine, Inventory& all);

/// inventory_boot.cpp: firmware, secure_boot, boot_disk, root_uuid, root_disks. After add_disks().
void add_boot(const MachineSources& machine, Inventory& all);

/// inventory_iscsi.cpp: iscsi_sessions.
void add_iscsi(const MachineSources& machine, Inventory& all);

/// inventory_system.cpp: all the rest.
void add_system(const MachineSources& machine, Inventory& all);

/// "/dev/sda1", "/dev/nvme0n1p1": the kernel's name of a partition.
[[nodiscard]] std::string partition_name(const std::string& disk, unsigned number);

/// How many processors a list of the kernel's names: "0-3,5" are five.
[[nodiscard]] unsigned processors_in(std::string_view list);

/// A whole file as it is; empty if it is not there, cannot be read or is longer than `limit`.
[[nodiscard]] std::string content_of(const std::filesystem::path& file,
                                     std::size_t limit = longest_inventory_file);

/// The names in a directory, sorted; empty if it is not there.
[[nodiscard]] std::vector<std::string> names_in(const std::filesystem::path& directory);

/// `text` without what is a password in it: the value of each word or option "...password=",
/// "...passwd=", "pass=", "...secret=" becomes "***", and so does the password in
/// "user=NAME%PASSWORD" and all before the '@' in "netroot=iscsi:NAME:PASSWORD@HOST".
[[nodiscard]] std::string without_passwords(std::string_view text);

/// The PARTUUID of the partition that a load option of UEFI names (UEFI 2.10 3.1.3 and 10.3.5.1),
/// lower case; empty if it names none. `variable` is as efivarfs shows it.
[[nodiscard]] std::string partition_of_load_option(std::string_view variable);

} // namespace coldspare::clone::inventory
