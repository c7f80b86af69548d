#pragma once

#include "standby/libvirt/library.hpp"

#include <filesystem>
#include <string>

// libvirt's driver for QEMU inside this process, for where there is no daemon. What was measured
// with libvirt 9.0.0 and QEMU 7.2.22:
//
// - Machines outlive the process. Whoever opens the same root next takes them over, transient ones
//   as well; their state is in ROOT/run. libvirt has no autodestroy for the embedded driver. What
//   must not stay has to be destroyed by name, also by the next run after a crash.
// - A root belongs to one process: it holds a lock (fcntl) on ROOT/run/qemu/driver.pid until it
//   ends, whatever it closes. A connection that meets the lock spoils the driver for its whole
//   process ("qemu state driver is not active"), so the lock is looked at before.
// - A process has one root, until it ends.
// - There are no networks, storage pools, or hooks; bridges and user-mode networking work.
// - The first connection asks each QEMU what it can, which takes some ten seconds; the answers are
//   kept in ROOT/cache.
// - Logging goes to standard error unless LIBVIRT_LOG_OUTPUTS says otherwise at the start.
// - Without ROOT/etc/qemu.conf it wants virtlogd, which is a daemon.

namespace coldspare::standby::libvirt {

/// Connects to the driver in this process. Makes `root` and its settings where they are missing.
/// Waits for some seconds for another process that has it. Throws Error: `locked`, and refused if
/// others could write to `root`.
[[nodiscard]] Connection open_embedded(const std::filesystem::path& root);

/// "qemu:///embed?root=...", with what a URI cannot have written as %XX.
[[nodiscard]] std::string embedded_uri(const std::filesystem::path& root);

} // namespace coldspare::standby::libvirt
