#pragma once

#include <string>
#include <string_view>
#include <vector>

/// The kernel's tables of what is mounted and what is swapped to. Pure functions.
namespace coldspare::clone {

struct Mount {
    std::string device; ///< "8:2"; of btrfs a number that no disk has
    std::string source; ///< "/dev/sda2"
    std::string type;   ///< "ext4"
    std::string point;
    bool read_only = false;
};

/// The lines of /proc/self/mountinfo (proc(5)); what is no such line is left out.
[[nodiscard]] std::vector<Mount> parse_mounts(std::string_view table);

/// The paths in /proc/swaps.
[[nodiscard]] std::vector<std::string> parse_swaps(std::string_view table);

} // namespace coldspare::clone
