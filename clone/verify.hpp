#pragma once

#include "clone/disk.hpp"
#include "clone/manifest.hpp"
#include "clone/progress.hpp"
#include "clone/range.hpp"

#include <stop_token>
#include <string>
#include <vector>

namespace coldspare::clone {

struct VerifyReport {
    std::string name;         ///< of the disk that was read
    std::vector<Range> wrong; ///< ranges of blocks that differ or cannot be read, in order
    std::uint64_t bytes_read = 0;
    double seconds = 0;
};

/// Reads the whole of what the manifest describes and compares each block. The disk should be from
/// open_for_verify(). A mismatch is an answer; Error only for what keeps it from reading on.
[[nodiscard]] VerifyReport verify(Disk& disk, const Manifest& manifest,
                                  const ProgressSink& progress, std::stop_token stop);

/// Throws an Error that lists the wrong ranges, if there are any.
void require_intact(const VerifyReport& report);

} // namespace coldspare::clone
