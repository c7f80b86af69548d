#include "clone/layout.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "clone/io_sizes.hpp"
#include "clone/table_bytes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t alignment = 1 << 20;
/// More in front of the first partition is no boot loader any more, but where others were.
constexpr std::uint64_t longest_boot_gap = 64 << 20;
constexpr std::uint32_t usual_sector = 512;

std::uint32_t sector_of(const SourceTable& source) {
    return source.sector == 0 ? usual_sector : source.sector;
}

Range usable_on(const PartitionTable& table, std::uint64_t disk_size) {
    return table.kind == TableKind::dos ? dos_usable(disk_size, table.sector)
                                        : gpt_usable(table, disk_size);
}

std::string sectors(Range range, std::uint32_t sector) {
    return fmt::format("{}-{}", range.offset / sector, range.end() / sector - 1);
}

std::string list(const std::vector<Partition>& partitions) {
    std::string text;
    for (const Partition& partition : partitions) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", partition.number);
    }
    return text;
}

const Partition& find(const PartitionTable& table, unsigned number, std::string_view option) {
    const auto found = std::ranges::find(table.partitions, number, &Partition::number);
    if (found == table.partitions.end()) {
        throw usage_error(
            fmt::format("{} {}: the source has no partition {}", option, number, number),
            fmt::format("it has {}", list(table.partitions)));
    }
    return *found;
}

void check_sectors(const SourceTable& source, const LayoutTarget& target) {
    if (target.sector == 0 || target.sector == sector_of(source)) {
        return;
    }
    throw refusal(fmt::format("copy '{}' to '{}' partition by partition: the source's table counts "
                              "in sectors of {} bytes, the target has {}",
                              source.name, target.name, sector_of(source), target.sector),
                  source.sector == 0
                      ? "an image does not tell its sector size: take a target with sectors of 512 "
                        "bytes, or an image file"
                      : "a table counts in the sectors of its disk, and so do file systems: take a "
                        "target with the same sector size, or an image file");
}

/// How much room there is behind the last partition, in whole MiB; or what is in the way.
std::uint64_t room_behind(const PartitionTable& table, const SourceTable& source,
                          const LayoutTarget& target) {
    const std::uint64_t end = usable_on(table, target.size).end();
    std::uint64_t last = 0;
    std::string in_the_way;
    for (const Partition& partition : table.partitions) {
        last = std::max(last, partition.range.end());
        if (partition.range.end() > end) {
            in_the_way +=
                fmt::format("{}partition {} has sectors {}", in_the_way.empty() ? "" : ", ",
                            partition.number, sectors(partition.range, table.sector));
        }
    }
    if (last > end) {
        throw refusal(
            fmt::format("copy '{}' to '{}' partition by partition: {}, the target has room up to "
                        "sector {}",
                        source.name, target.name, in_the_way,
                        end < table.sector ? 0 : end / table.sector - 1),
            fmt::format("choose a target with {} more, or shrink what lies there on the source "
                        "first",
                        format_bytes(last - end)));
    }
    return (end - last) / alignment * alignment;
}

Insertion make_room(const PartitionTable& table, std::uint64_t room, const LayoutRequest& request) {
    if (!request.grow) {
        return {};
    }
    const Partition& grown = find(table, *request.grow, "--grow");
    if (room == 0) {
        return {};
    }
    return {.at = grown.range.end(),
            .by = room,
            .number = grown.number,
            .in_extended = grown.role == PartitionRole::logical};
}

std::vector<PlannedPartition> plan_partitions(const PartitionTable& table, const Insertion& room,
                                              const LayoutRequest& request) {
    for (const unsigned number : request.only) {
        if (find(table, number, "--only").role == PartitionRole::extended) {
            throw usage_error(fmt::format("--only {}: partition {} is the extended one, which has "
                                          "nothing of its own",
                                          number, number),
                              "name the logical partitions in it");
        }
    }
    std::vector<PlannedPartition> planned;
    for (const Partition& partition : table.partitions) {
        const bool asked = request.only.empty() ||
                           std::ranges::find(request.only, partition.number) != request.only.end();
        planned.push_back({.source = partition,
                           .target = room.range(partition),
                           .copied = asked && partition.role != PartitionRole::extended});
    }
    return planned;
}

/// What of the source is its table: all that was told of a GPT, and of an MBR the sectors with
/// entries.
TableRegions kept_of(const PartitionTable& table, const TableRegions& regions) {
    if (table.kind == TableKind::gpt) {
        return regions;
    }
    std::vector<std::uint64_t> places{0};
    places.insert(places.end(), table.chain.begin(), table.chain.end());
    std::ranges::sort(places);
    TableRegions kept;
    for (const std::uint64_t at : places) {
        kept.push_back({at, std::vector<std::byte>(table.sector)});
        static_cast<void>(copy_from(regions, at, kept.back().bytes));
    }
    return kept;
}

std::vector<Range> ranges_of(const TableRegions& regions) {
    std::vector<Range> ranges;
    for (const TableRegion& region : regions) {
        ranges.push_back(region.range());
    }
    return joined(std::move(ranges));
}

DiskView view_of(const PartitionTable& table, const SourceTable& source,
                 const std::vector<PlannedPartition>& partitions) {
    DiskView view{.size = source.size, .kept = kept_of(table, source.regions)};
    std::uint64_t first = source.size;
    for (const PlannedPartition& partition : partitions) {
        first = std::min(first, partition.source.range.offset);
        if (partition.copied) {
            view.moves.push_back({partition.source.range, partition.target.offset});
        }
    }
    for (const Range& gap : without({0, std::min(first, longest_boot_gap)}, ranges_of(view.kept))) {
        view.moves.push_back({gap, gap.offset});
    }
    std::ranges::sort(view.moves, {}, [](const Move& move) { return move.source.offset; });
    return view;
}

/// The table for the target: the source's own bytes where nothing is another.
TableRegions table_for(const PartitionTable& table, const SourceTable& source,
                       const Insertion& room, std::uint64_t target_size) {
    return table.kind == TableKind::dos
               ? dos_table_with_room(table, source.regions, room)
               : gpt_table_with_room(table, source.regions, room, target_size);
}

/// The new table must say what was planned, in our reading, and lie where nothing else does.
void check_result(const Layout& layout) {
    const PartitionTable now = parse_table(layout.table, layout.target.size, layout.source.sector);
    bool same = now.partitions.size() == layout.partitions.size();
    for (std::size_t i = 0; same && i < now.partitions.size(); ++i) {
        Partition expected = layout.partitions[i].source;
        expected.range = layout.partitions[i].target;
        same = now.partitions[i] == expected;
    }
    for (const TableRegion& region : layout.table) {
        for (const Move& move : layout.view.moves) {
            const Range there = move.on_target();
            same = same && (there.end() <= region.offset || region.range().end() <= there.offset);
        }
    }
    if (!same || now.id != layout.source.id || !fault_of(layout.view).empty()) {
        throw Error("the new partition table does not say what was planned",
                    "this is a fault of coldspare: copy the whole disk, and report it");
    }
}

std::string describe(const PlannedPartition& planned, std::uint32_t sector) {
    const Partition& source = planned.source;
    std::string text = fmt::format("partition {} ({}{}{}): ", source.number, source.type,
                                   source.name.empty() ? "" : fmt::format(" '{}'", source.name),
                                   source.role == PartitionRole::extended ? ", extended" : "");
    text += fmt::format("sectors {} ({})", sectors(planned.target, sector),
                        format_bytes(planned.target.length));
    if (planned.target.offset != source.range.offset) {
        text += fmt::format(", moves up by {}",
                            format_bytes(planned.target.offset - source.range.offset));
    }
    if (planned.target.length != source.range.length) {
        text +=
            fmt::format(", grows by {}", format_bytes(planned.target.length - source.range.length));
    }
    if (!planned.copied && source.role != PartitionRole::extended) {
        text += ", its content is not copied";
    }
    return text;
}

} // namespace

std::vector<std::string> Layout::lines() const {
    std::vector<std::string> result;
    result.push_back(fmt::format("'{}' has a {} table in sectors of {} bytes; '{}' ({}) gets the "
                                 "same:",
                                 source_name, word(source.kind), source.sector, target.name,
                                 format_bytes(target.size)));
    for (const PlannedPartition& partition : partitions) {
        result.push_back(describe(partition, source.sector));
    }
    result.insert(result.end(), notes.begin(), notes.end());
    return result;
}

Layout plan_layout(const SourceTable& source, const LayoutTarget& target,
                   const LayoutRequest& request) {
    check_sectors(source, target);
    Layout layout{.source = parse_table(source.regions, source.size, sector_of(source)),
                  .source_name = source.name,
                  .target = target};
    const std::uint64_t spare = room_behind(layout.source, source, target);
    const Insertion room = make_room(layout.source, spare, request);
    layout.partitions = plan_partitions(layout.source, room, request);
    layout.view = view_of(layout.source, source, layout.partitions);
    layout.table = table_for(layout.source, source, room, target.size);
    if (room.by > 0) {
        layout.grow = room.number;
    } else if (request.grow) {
        layout.notes.push_back(fmt::format("partition {} does not grow: behind the last one there "
                                           "is less than 1 MiB to spare",
                                           *request.grow));
    } else if (spare > 0) {
        layout.notes.push_back(fmt::format("{} behind the last partition stay free: --grow N gives "
                                           "them to one",
                                           format_bytes(spare)));
    }
    check_result(layout);
    return layout;
}

std::optional<Layout> plan_whole_disk(const SourceTable& source, const LayoutTarget& target) {
    try {
        Layout layout{.source = parse_table(source.regions, source.size, sector_of(source)),
                      .source_name = source.name,
                      .target = target};
        if (layout.source.kind != TableKind::gpt || target.size < source.size) {
            return std::nullopt;
        }
        layout.partitions = plan_partitions(layout.source, {}, {});
        layout.view = {.size = source.size, .kept = source.regions};
        for (const Range& rest : without({0, source.size}, ranges_of(source.regions))) {
            layout.view.moves.push_back({rest, rest.offset});
        }
        layout.table = table_for(layout.source, source, {}, target.size);
        layout.notes.push_back(
            fmt::format("the second table of the GPT goes to the end of '{}'", target.name));
        check_result(layout);
        return layout;
    } catch (const Error&) {
        return std::nullopt; // Copied as it is.
    }
}

} // namespace coldspare::clone
