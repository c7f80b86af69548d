#pragma once

#include "fixup/disk_attachment.hpp"
#include "fixup/plan.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// What changes an initramfs: `fix_initramfs.cpp` decides which and how, initramfs_rebuild.cpp and
/// initramfs_append.cpp do it.
struct InitramfsWork {
    const PlanInput& input;
    DiskAttachment disk;
    std::vector<const KernelFacts*> kernels; ///< those whose initramfs must change
};

/// Whether an earlier fix edits a file that an initramfs carries a copy of.
[[nodiscard]] bool copies_are_stale(const PlanInput& input);

/// Drivers of the VM's disk that are modules of any of these kernels, the indispensable ones first.
[[nodiscard]] std::vector<std::string> wanted_drivers(const InitramfsWork& work);

/// The settings from which the copy's own program will build the initramfs of later kernels.
[[nodiscard]] std::vector<FileEdit> lasting_settings(const InitramfsWork& work);

/// Commands that build them anew, and what has to be in place while they run.
void add_rebuild(const InitramfsWork& work, FixPlan& plan);

/// Why no archive can be put behind this kernel's initramfs, or nothing.
[[nodiscard]] std::optional<std::string> why_not_append(const InitramfsWork& work,
                                                        const KernelFacts& kernel);
/// Archives behind them.
void add_append(const InitramfsWork& work, FixPlan& plan);

} // namespace coldspare::fixup
