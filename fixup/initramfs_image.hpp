#pragma once

#include "fixup/cpio.hpp"
#include "fixup/unpack.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace coldspare::fixup {

/// An initramfs: one or more archives, one behind the other, each packed in its own way (an early
/// one with microcode is packed in none).
struct InitramfsImage {
    ArchiveListing listing;
    Packing packing = Packing::unknown; ///< of the last archive
    std::string problem;                ///< why it could not be read to its end, or empty
};

/// Lists it without running anything. Keeps the texts of what dracut notes in its images: the names
/// of its modules and its kernel arguments. Unpacks at most 2 GiB.
[[nodiscard]] InitramfsImage read_initramfs(std::string_view bytes);

} // namespace coldspare::fixup
