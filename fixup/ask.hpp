#pragma once

#include "fixup/binding.hpp"
#include "fixup/fixup.hpp"
#include "fixup/protocol.hpp"

#include <filesystem>
#include <stop_token>
#include <sys/types.h>
#include <vector>

namespace coldspare::fixup {

/// Where the overlay of a request stands.
[[nodiscard]] std::filesystem::path overlay_of(const ImageRequest& request);

/// Throws Error (usage) if no image was named, or one twice.
void check_distinct(const std::vector<ImageRequest>& images);

/// The one that was asked for, or what a probe finds out; `note` is told then.
[[nodiscard]] Accelerator choose_accelerator(const FixupRequest& request, const NoteCallback& note,
                                             std::stop_token stop);

/// What one start of the appliance is for.
struct Question {
    std::vector<std::filesystem::path> disks;
    DiskFormat format = DiskFormat::raw;
    Depth depth = Depth::look;
    Accelerator accelerator = Accelerator::tcg;
};

/// Starts it once. Blocks; throws what run_appliance() throws.
[[nodiscard]] RepairReport ask_appliance(const FixupRequest& request, const Question& question,
                                         const NoteCallback& note, std::stop_token stop);

/// What a run says that has changed nothing yet.
[[nodiscard]] FixupResult result_of(const FixupRequest& request,
                                    std::vector<std::filesystem::path> disks,
                                    Accelerator accelerator, RepairReport report);

/// The binding of a run, still without its layers.
[[nodiscard]] Binding binding_of(const FixupRequest& request, Accelerator accelerator,
                                 const RepairReport& report);

/// Diffs in a report may show lines of files that only root reads inside the copy.
inline constexpr mode_t report_mode = 0600;

/// Throws Error if something that the copy needs cannot be fixed.
void check_no_obstacle(const FixupRequest& request, const RepairReport& report);

} // namespace coldspare::fixup
