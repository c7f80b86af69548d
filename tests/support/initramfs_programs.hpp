#pragma once

#include "tests/support/memory_guest.hpp"

#include <set>
#include <string>

namespace coldspare::fixup {

/// An initramfs as its programs make it: the modules in their directory, with modules.dep; "lib"
/// is a link as in a system with a merged /usr.
[[nodiscard]] std::string merged_image(MemoryGuest& guest, const std::string& version,
                                       const std::set<std::string>& modules);

/// What update-initramfs, dracut and both kinds of mkinitrd do, as far as modules go: they take
/// what their configuration and their arguments say and nothing else; what they would refuse has a
/// status. Of a system of 32 bits they must be told not to look at the kernel that runs.
[[nodiscard]] CommandOutput run_initramfs_program(MemoryGuest& guest, const std::string& line);

} // namespace coldspare::fixup
