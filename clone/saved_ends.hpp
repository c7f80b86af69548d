#pragma once

#include "clone/manifest.hpp"

#include <cstdint>
#include <filesystem>

namespace coldspare::clone {

/// What is kept of a device before it is overwritten: so much at its start (partition table, boot
/// code, superblocks) and at its end (a GPT's backup, md).
inline constexpr std::uint64_t saved_length = std::uint64_t{1} << 20;

struct SavedEnds {
    std::filesystem::path description; ///< NAME.json, docs/FORMATS.md 10
    std::filesystem::path first;
    std::filesystem::path last;
};

/// Writes the first and the last MiB to `state_dir`/saved, readable by root alone, under a name
/// that nothing has yet. Durable when it returns. Nothing here ever removes them. Throws Error,
/// with status 4 where the device itself cannot be read.
[[nodiscard]] SavedEnds save_ends(const std::filesystem::path& device,
                                  const std::filesystem::path& state_dir);

/// Whether both ends of the device are still what this clone of it put there, as far as it reaches:
/// then there is nothing of anybody else to be saved. A read error is a no.
[[nodiscard]] bool ends_are_of(const std::filesystem::path& device, const Manifest& clone);

} // namespace coldspare::clone
