#include "clone/places.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "clone/disk_list.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/place_ext.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::clone {

namespace {

/// Where one partition, or the whole of a disk without any, lies and what it holds.
struct Region {
    Range range;
    unsigned partition = 0;
    Content content;
};

std::vector<Region> regions_of(const std::filesystem::path& path) {
    if (is_nbd_uri(path)) {
        return {}; // Its server may have no room for one more client.
    }
    try {
        const DiskEntry disk = inspect_disk(path);
        if (disk.table.empty()) {
            return {{{0, disk.facts.size}, 0, disk.content}};
        }
        std::vector<Region> regions;
        for (const PartitionEntry& entry : disk.partitions) {
            regions.push_back({{entry.start, entry.size}, entry.number, entry.content});
        }
        return regions;
    } catch (const Error&) {
        return {};
    }
}

/// The smallest region around a byte: a logical partition, and not the extended one around it.
const Region* region_at(const std::vector<Region>& regions, std::uint64_t byte) {
    const Region* best = nullptr;
    for (const Region& region : regions) {
        if (byte >= region.range.offset && byte - region.range.offset < region.range.length &&
            (best == nullptr || region.range.length < best->range.length)) {
            best = &region;
        }
    }
    return best;
}

/// `range` cut wherever a region begins or ends.
std::vector<Range> cut(Range range, const std::vector<Region>& regions) {
    std::vector<std::uint64_t> borders{range.offset, range.end()};
    for (const Region& region : regions) {
        for (const std::uint64_t border : {region.range.offset, region.range.end()}) {
            if (border > range.offset && border < range.end()) {
                borders.push_back(border);
            }
        }
    }
    std::ranges::sort(borders);
    std::vector<Range> pieces;
    for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
        if (borders[i] != borders[i + 1]) {
            pieces.push_back({borders[i], borders[i + 1] - borders[i]});
        }
    }
    return pieces;
}

/// Asks the file system of `region` who has the places that lie in it.
void name_holders(const std::filesystem::path& path, const Region& region,
                  const std::vector<Place*>& places, const OutOfTime& out_of_time) {
    std::vector<Range> ranges;
    for (const Place* place : places) {
        ranges.push_back({place->range.offset - region.range.offset, place->range.length});
    }
    std::vector<std::vector<std::string>> holders =
        ext_holders(path, region.range.offset, ranges, out_of_time);
    for (std::size_t i = 0; i < holders.size(); ++i) {
        places[i]->holders = std::move(holders[i]);
    }
}

} // namespace

std::string Place::text() const {
    std::vector<std::string> words;
    if (partition != 0) {
        words.push_back(fmt::format("partition {}", partition));
    }
    if (!type.empty()) {
        words.push_back(label.empty() ? type : fmt::format("{} '{}'", type, label));
    }
    std::string where = fmt::format("{}", fmt::join(words, ", "));
    if (!holders.empty()) {
        where += fmt::format("{}{}", where.empty() ? "" : ": ", fmt::join(holders, ", "));
    }
    return fmt::format("{} bytes at {}{}", range.length, range.offset,
                       where.empty() ? "" : fmt::format(" ({})", where));
}

std::vector<Place> places_of(const std::filesystem::path& path, const std::vector<Range>& ranges,
                             std::chrono::seconds budget, std::stop_token stop) {
    const TimePoint deadline = Clock::now() + budget;
    const OutOfTime out_of_time = [&] { return stop.stop_requested() || Clock::now() >= deadline; };
    const std::vector<Region> regions = regions_of(path);
    std::vector<Place> places;
    for (const Range& range : ranges) {
        for (const Range& piece : cut(range, regions)) {
            Place place{piece};
            if (const Region* region = region_at(regions, piece.offset)) {
                place.partition = region->partition;
                place.type = region->content.type;
                place.label = region->content.label;
            } else if (!regions.empty()) {
                place.holders = {"outside the partitions"};
            }
            places.push_back(std::move(place));
        }
    }
    for (const Region& region : regions) {
        std::vector<Place*> inside_it;
        for (Place& place : places) {
            if (region_at(regions, place.range.offset) == &region) {
                inside_it.push_back(&place);
            }
        }
        if (!inside_it.empty() && is_ext(region.content.type)) {
            name_holders(path, region, inside_it, out_of_time);
        }
    }
    if (stop.stop_requested()) {
        throw interrupted();
    }
    return places;
}

} // namespace coldspare::clone
