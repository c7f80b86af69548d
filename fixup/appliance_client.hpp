#pragma once

#include "fixup/apply.hpp"
#include "fixup/protocol.hpp"

#include <chrono>
#include <filesystem>
#include <stop_token>

namespace coldspare::fixup {

/// Runs the helper `program` for one request and returns its report. Blocks; the helper, its QEMU
/// and their temporary files are gone when this returns or throws. Throws what the helper reports,
/// an Error if it ends without a report or outlives `timeout`, and interrupted().
[[nodiscard]] RepairReport run_appliance(const std::filesystem::path& program,
                                         const ApplianceRequest& request,
                                         std::chrono::seconds timeout, const NoteCallback& note,
                                         std::stop_token stop);

} // namespace coldspare::fixup
