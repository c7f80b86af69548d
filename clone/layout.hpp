#pragma once

#include "clone/disk_view.hpp"
#include "clone/partition_table.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coldspare::clone {

/// What was asked for, by the numbers that the source's partitions have.
struct LayoutRequest {
    std::optional<unsigned> grow; ///< this one takes what the target has to spare
    std::vector<unsigned> only;   ///< copy these; empty: all
};

/// The disk that the source's partitions are laid out on.
struct LayoutTarget {
    std::string name;
    std::uint64_t size = 0;
    std::uint32_t sector = 0; ///< 0: an image file, which takes any
};

struct PlannedPartition {
    Partition source;
    Range target;       ///< where it will lie
    bool copied = true; ///< extended ones, and those that were not asked for, are not
};

/// Where everything of a source's disk goes, and the table that says so. It prints itself: that is
/// the dry run.
struct Layout {
    PartitionTable source;
    std::string source_name;
    LayoutTarget target;
    std::vector<PlannedPartition> partitions;
    DiskView view;
    TableRegions table;           ///< written to the target
    std::optional<unsigned> grow; ///< if it really grows
    std::vector<std::string> notes;

    [[nodiscard]] std::vector<std::string> lines() const;
};

/// A disk's table as its owner told it.
struct SourceTable {
    std::string name;
    std::uint64_t size = 0;
    std::uint32_t sector = 0; ///< as in DiskFacts
    TableRegions regions;
};

/// Lays the partitions out: each at its place, or behind the one that grows by as much as that one
/// grows, in whole MiB, so that alignments stay what they are. Between them only the gap before the
/// first one is kept. Pure. Throws Error: a refusal that says which sectors are in the way, or a
/// usage error for a partition that is not there.
[[nodiscard]] Layout plan_layout(const SourceTable& source, const LayoutTarget& target,
                                 const LayoutRequest& request);

/// The whole disk, every byte at its place but a GPT's second table, which goes to the end of a
/// target of another size. Nothing if there is no GPT whose every byte is understood.
[[nodiscard]] std::optional<Layout> plan_whole_disk(const SourceTable& source,
                                                    const LayoutTarget& target);

} // namespace coldspare::clone
