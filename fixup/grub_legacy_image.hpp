#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

// What GRUB 0.97 leaves on a disk (stage1/stage1.h, stage2/shared.h and the `install` command of
// stage2/builtins.c): stage 1 in a boot sector, which loads one sector, whose number stands at
// 0x44. That is the first of a stage 1.5 (loaded to 0x2000) in the gap behind the sector, or of
// stage 2 (loaded to 0x8000) where it lies in its file system. The first sector of either ends with
// a list of the rest, and the second begins with fields and the name of the next file, which
// `install` writes.

namespace coldspare::fixup {

enum class LegacyStage { stage1_5, stage2 };

/// Where a stage 1 goes on.
struct LegacyJump {
    LegacyStage to = LegacyStage::stage2;
    std::uint64_t offset = 0; ///< bytes from the start of the disk
};

/// Nothing for sectors that are no stage 1 of 0.97, or that load something unknown.
[[nodiscard]] std::optional<LegacyJump> legacy_jump(std::string_view sector);

/// Whether `embedded`, read from the disk, is the stage `file` apart from what `install` writes:
/// block lists at the end of the first sector, and the first 0x70 bytes of the second. `embedded`
/// may be the first sector only; it must be whole sectors or as long as the file.
[[nodiscard]] bool same_stage(std::string_view embedded, std::string_view file);

/// Where partitions begin, in bytes, by the table in the first sector of a disk; 0 for none.
struct DosStarts {
    std::uint64_t first = 0;  ///< the lowest
    std::uint64_t active = 0; ///< of the one that is marked for booting
};
[[nodiscard]] DosStarts dos_starts(std::string_view sector);

} // namespace coldspare::fixup
