#pragma once

#include "clone/range.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// Whether to stop looking. Asked often.
using OutOfTime = std::function<bool()>;

/// Whether libblkid's name of a file system is one of those that ext_holders() reads.
[[nodiscard]] constexpr bool is_ext(std::string_view type) {
    return type == "ext2" || type == "ext3" || type == "ext4";
}

/// For each of `ranges` (bytes of the file system that begins at `offset` of the disk or image,
/// sorted, apart from each other) who has it, as Place::holders. Empty where that is unknown: the
/// file system is damaged, or the time was out. Reads only. Never throws because of what it reads.
[[nodiscard]] std::vector<std::vector<std::string>> ext_holders(const std::filesystem::path& path,
                                                                std::uint64_t offset,
                                                                const std::vector<Range>& ranges,
                                                                const OutOfTime& out_of_time);

} // namespace coldspare::clone
