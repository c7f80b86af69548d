#pragma once

#include "clone/disk.hpp"
#include "clone/sysfs.hpp"
#include "clone/uses.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace coldspare::clone {

/// What libblkid recognised in a range of bytes; empty strings where nothing.
struct Content {
    std::string type; ///< "ext4", "swap", "LVM2_member", "crypto_LUKS", ...
    std::string label;
    std::string uuid;
    bool several = false; ///< the signatures of more than one; `type` is empty then
};

struct PartitionEntry {
    unsigned number = 0;
    std::uint64_t start = 0; ///< bytes
    std::uint64_t size = 0;  ///< bytes
    std::string type;        ///< MBR: "0x83"; GPT: type GUID
    std::string name;        ///< GPT: partition name
    std::string uuid;        ///< PARTUUID
    bool bootable = false;   ///< MBR: active flag
    bool extended = false;   ///< MBR: holds logical partitions, and nothing else
    Content content;
};

/// A disk or an image, as `coldspare disks` shows it.
struct DiskEntry {
    DiskFacts facts;
    sysfs::Hardware hardware; ///< of a device
    std::string table;        ///< "dos", "gpt", or empty
    Content content;          ///< of the whole disk, where it has no table
    Content beside_table;     ///< what is recognised on the whole disk although it has a table
    std::vector<PartitionEntry> partitions;
    std::vector<Use> uses;
};

/// Every disk of this machine that has a size, in the kernel's order. Reads, and never writes.
[[nodiscard]] std::vector<DiskEntry> list_disks();

/// One disk or image. Throws Error if it cannot be read. Of an NBD export only the facts: its table
/// and content are not looked at.
[[nodiscard]] DiskEntry inspect_disk(const std::filesystem::path& path);

} // namespace coldspare::clone
