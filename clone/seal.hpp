#pragma once

#include "clone/blocks.hpp"
#include "clone/digest.hpp"
#include "clone/disk.hpp"

#include <filesystem>
#include <span>
#include <string>

namespace coldspare::clone {

/// What is another as soon as anybody writes to a target: of an image file its identity, size and
/// times; of a device the kernel's count of its writes since this boot
/// (Documentation/block/stat.rst). Equal seals of two moments: nothing was written in between.
/// Empty where nothing proves that: a device that another machine can write to (iSCSI, Fibre
/// Channel), that others are made of or that is made of others, or whose writes are not counted.
///
/// Of a device that is open, what was written through the page cache counts when it was flushed.
[[nodiscard]] std::string seal_of(const std::filesystem::path& target);

/// Reads the first, the last and some other blocks, by chance, and compares them with what they
/// should be. Blocks. A block that cannot be read is not right.
[[nodiscard]] bool samples_match(Disk& medium, const Geometry& geometry,
                                 std::span<const Leaf> leaves);

} // namespace coldspare::clone
