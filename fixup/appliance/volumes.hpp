#pragma once

#include "fixup/appliance/appliance.hpp"
#include "fixup/guest.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace coldspare::fixup {

/// Starts md arrays that lack a leg, as a copy of one of a server's two disks has them: the
/// appliance waits for the other leg and has nobody who tells it to go on. One that cannot start
/// stays as it is.
void start_incomplete_arrays(Appliance& appliance);

/// Opens every LUKS volume with the first passphrase that fits, and what lies in them. A key file
/// has one passphrase; one newline at its end does not count. Throws Error if no key fits.
void open_encrypted(Appliance& appliance, const std::vector<std::filesystem::path>& keys);

/// Gives the copy's programs a /run of their own, which is gone with the appliance: what they leave
/// there (dracut: /run/blkid) is not a file of the system. After mount_system(). Throws Error.
void cover_run(Appliance& appliance);

/// Finds the system (the one on `wanted`, or the only one), and mounts its file systems, shortest
/// path first. /, /boot and /usr must be there; of the others, which may lie on disks that were not
/// cloned, those that are. Throws Error.
[[nodiscard]] GuestSystem mount_system(Appliance& appliance, const std::string& wanted);

} // namespace coldspare::fixup
