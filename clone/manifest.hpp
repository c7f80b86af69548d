#pragma once

#include "clone/blocks.hpp"
#include "clone/digest.hpp"
#include "clone/disk.hpp"
#include "clone/disk_view.hpp"
#include "clone/range.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// A partition whose file system was grown after the copy, so that it is another than the source's.
struct Grown {
    unsigned number = 0;
    Range source; ///< where it lies on the source
    bool operator==(const Grown&) const = default;
};

/// Bytes of the partition table that was made for a target, which the leaves do not speak of.
struct WrittenTable {
    Range range; ///< on the target
    Leaf hash{}; ///< XXH3-128
    bool operator==(const WrittenTable&) const = default;
};

/// What a finished clone is known to be: written last, removed before its target is written again.
/// The bytes: docs/FORMATS.md 1.
struct Manifest {
    Geometry geometry;
    Sha256 root{};
    std::string created; ///< RFC 3339, of the target's clock
    std::string program; ///< "coldspare 0.1.0"
    std::string source_name;
    std::string source_model;
    std::string source_serial;
    std::string source_wwn;
    std::uint32_t logical_sector = 0; ///< the source's; 0 if unknown
    std::uint64_t target_inode = 0;   ///< of an image file; 0 for a device, or if not known
    std::uint64_t target_born = 0;    ///< likewise, ns since 1970
    std::string seal;                 ///< seal_of() the target when it was finished
    std::uint64_t full_copy_ms = 0;   ///< what the last full copy took; 0: nobody knows
    std::vector<Range> unreadable;    ///< what the source could not read; at most 1000 are kept
    std::optional<DiskView> view;     ///< where its bytes lie, if not where the source has them
    std::vector<WrittenTable> table;  ///< with a view
    std::vector<Grown> grown;
    std::vector<Leaf> leaves;
};

/// The file's content, and back. parse_manifest() throws Error on anything that is not a whole and
/// unchanged manifest; sizes are checked before anything is allocated.
[[nodiscard]] std::string encode_manifest(const Manifest& manifest);
[[nodiscard]] Manifest parse_manifest(std::string_view content);

/// The name under which the state directory keeps what belongs to a device; it stays with the disk
/// where that has a WWN or a serial number (docs/FORMATS.md 1). Throws Error.
[[nodiscard]] std::string name_in_state(const std::filesystem::path& target);

/// Where the manifest of a target stands: beside an image ("IMAGE.manifest"); for a block device in
/// `state_dir`/manifests, named by WWN, serial number or, failing both, the kernel's name.
[[nodiscard]] std::filesystem::path manifest_path(const std::filesystem::path& target,
                                                  const std::filesystem::path& state_dir);

/// Where the journal of an unfinished copy stands: beside the manifest.
[[nodiscard]] std::filesystem::path journal_path(const std::filesystem::path& target,
                                                 const std::filesystem::path& state_dir);

/// Where the list of what could not be read stands: beside the manifest.
[[nodiscard]] std::filesystem::path map_path(const std::filesystem::path& target,
                                             const std::filesystem::path& state_dir);

/// Where the inventory of the source's machine stands (base/inventory.hpp): beside the manifest,
/// "IMAGE.inventory.json".
[[nodiscard]] std::filesystem::path inventory_path(const std::filesystem::path& target,
                                                   const std::filesystem::path& state_dir);

/// Writes it durably; makes the directory if needed. Throws Error.
void write_manifest(const std::filesystem::path& path, const Manifest& manifest);

/// Reads it; nothing if there is none. Throws Error if it is damaged.
[[nodiscard]] std::optional<Manifest> read_manifest(const std::filesystem::path& path);

} // namespace coldspare::clone
