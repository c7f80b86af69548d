#include "clone/disk_view.hpp"

#include "clone/blocks.hpp"
#include "clone/io_sizes.hpp"

#include <algorithm>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t smallest_sector = 512;
constexpr std::uint64_t page = 4096;

bool apart(std::vector<Range> ranges) {
    std::ranges::sort(ranges, {}, &Range::offset);
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        if (ranges[i].offset < ranges[i - 1].end()) {
            return false;
        }
    }
    return true;
}

std::vector<Range> sources(const DiskView& view) {
    std::vector<Range> ranges;
    for (const Move& move : view.moves) {
        ranges.push_back(move.source);
    }
    for (const TableRegion& region : view.kept) {
        ranges.push_back(region.range());
    }
    return ranges;
}

} // namespace

std::uint64_t DiskView::needs() const {
    std::uint64_t end = 0;
    for (const Move& move : moves) {
        end = std::max(end, move.on_target().end());
    }
    return end;
}

std::vector<Range> DiskView::unwanted() const {
    return without({0, size}, joined(sources(*this)));
}

bool DiskView::moved() const {
    return std::ranges::any_of(moves,
                               [](const Move& move) { return move.source.offset != move.target; });
}

std::vector<Range> DiskView::on_target(const std::vector<Range>& ranges) const {
    std::vector<Range> result;
    for (const Range& range : ranges) {
        for (const Move& move : moves) {
            const std::uint64_t start = std::max(range.offset, move.source.offset);
            const std::uint64_t end = std::min(range.end(), move.source.end());
            if (start < end) {
                result.push_back({start - move.source.offset + move.target, end - start});
            }
        }
    }
    return joined(std::move(result));
}

std::string_view fault_of(const DiskView& view) {
    std::size_t kept_bytes = 0;
    if (view.size == 0 || view.size > largest_disk_size || view.moves.size() > most_moves ||
        view.kept.size() > most_regions) {
        return "its view is too large";
    }
    for (const TableRegion& region : view.kept) {
        kept_bytes += region.bytes.size();
        if (region.bytes.empty() || region.offset % smallest_sector != 0 ||
            !inside(region.range(), view.size) || kept_bytes > largest_table) {
            return "its view keeps impossible bytes";
        }
    }
    std::vector<Range> targets;
    for (const Move& move : view.moves) {
        if (move.source.length == 0 || !inside(move.source, view.size) ||
            !inside(move.on_target(), largest_disk_size) ||
            move.source.offset % smallest_sector != 0 ||
            (move.source.offset - move.target) % page != 0) {
            return "its view has an impossible move";
        }
        targets.push_back(move.on_target());
    }
    if (!apart(sources(view)) || !apart(std::move(targets))) {
        return "its view has two bytes at one place";
    }
    if (!std::ranges::is_sorted(view.moves, {},
                                [](const Move& move) { return move.source.offset; }) ||
        !std::ranges::is_sorted(view.kept, {}, &TableRegion::offset)) {
        return "its view is not in order";
    }
    return {};
}

std::vector<Range> without(Range range, std::span<const Range> holes) {
    std::vector<Range> result;
    std::uint64_t at = range.offset;
    for (const Range& hole : holes) {
        if (hole.end() <= at || hole.offset >= range.end()) {
            continue;
        }
        if (hole.offset > at) {
            result.push_back({at, hole.offset - at});
        }
        at = hole.end();
    }
    if (at < range.end()) {
        result.push_back({at, range.end() - at});
    }
    return result;
}

} // namespace coldspare::clone
