#pragma once

#include "clone/range.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace coldspare::clone {

/// Which bytes of a copy are missing, in the format of GNU ddrescue's mapfile (docs/FORMATS.md 5),
/// so that ddrescue can go on where we stopped:
///
///     ddrescue -d -r3 /dev/sda IMAGE IMAGE.map
///
/// It reads the bad sectors again and writes them into the image; without -r it leaves them alone.
struct MapFile {
    std::uint64_t size = 0;     ///< of the disk
    std::span<const Range> bad; ///< sorted, joined, inside [0, size)
    std::string_view program;   ///< "coldspare VERSION", for the first line
    std::string_view created;   ///< utc_timestamp()
};

/// The whole file as text. A pure function.
[[nodiscard]] std::string map_file_text(const MapFile& map);

/// Replaces `path` atomically and durably. Throws Error.
void write_map_file(const std::filesystem::path& path, const MapFile& map);

} // namespace coldspare::clone
