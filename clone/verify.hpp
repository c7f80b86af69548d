#pragma once

#include "clone/digest.hpp"
#include "clone/disk.hpp"
#include "clone/progress.hpp"
#include "clone/range.hpp"

#include <span>
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

/// Reads all of a copy and compares each block with its leaf. The disk should be from
/// open_for_verify(). A mismatch is an answer; Error only for what keeps it from reading on. Blocks
/// that touch `left_out` are not looked at.
[[nodiscard]] VerifyReport verify(Disk& disk, const Geometry& geometry,
                                  std::span<const Leaf> leaves, const ProgressSink& progress,
                                  std::stop_token stop, std::span<const Range> left_out = {});

/// The same for one range of whole blocks. Returns what is wrong in it.
[[nodiscard]] std::vector<Range> verify_range(Disk& disk, const Geometry& geometry,
                                              std::span<const Leaf> leaves, Range range);

/// Throws an Error that lists the wrong ranges and what lies there, if there are any.
void require_intact(const VerifyReport& report);

} // namespace coldspare::clone
