// Moves are by whole pages, so that what is aligned on the source is aligned on the target; but
// they begin and end at sectors. A page that a move has only in part is read, changed and written
// under a lock: the other part may be another move's.
#include "clone/mapped_disk.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "clone/buffer.hpp"
#include "clone/view_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace coldspare::clone {

namespace {

/// A range on a disk as what fills whole pages and what does not.
struct Cut {
    Range head; ///< in one page
    Range pages;
    Range tail; ///< in one page
};

Cut cut(Range range, std::uint64_t disk_size) {
    const std::uint64_t first =
        std::min((range.offset + io_alignment - 1) / io_alignment * io_alignment, range.end());
    // The last page of a disk may be short.
    const std::uint64_t last = range.end() == disk_size
                                   ? range.end()
                                   : std::max(range.end() / io_alignment * io_alignment, first);
    return {
        {range.offset, first - range.offset}, {first, last - first}, {last, range.end() - last}};
}

/// Reads the page around [offset, offset + length), lets `change` have that part, writes it back.
template <typename Change>
void change_part_of_page(Disk& disk, std::uint64_t offset, std::size_t length,
                         const Change& change) {
    const std::uint64_t start = offset / io_alignment * io_alignment;
    AlignedBuffer page(
        static_cast<std::size_t>(std::min<std::uint64_t>(io_alignment, disk.facts().size - start)));
    disk.read(start, page.span());
    change(page.span().subspan(static_cast<std::size_t>(offset - start), length));
    disk.write(start, page.span());
}

} // namespace

void write_anywhere(Disk& disk, std::uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const std::size_t length = std::min<std::size_t>(
            bytes.size(), static_cast<std::size_t>(io_alignment - offset % io_alignment));
        change_part_of_page(disk, offset, length, [&](std::span<std::byte> part) {
            std::ranges::copy(bytes.first(length), part.begin());
        });
        offset += length;
        bytes = bytes.subspan(length);
    }
}

MappedDisk::MappedDisk(std::unique_ptr<Disk> disk, DiskView view)
    : disk_(std::move(disk)), view_(std::move(view)), facts_(disk_->facts()) {
    if (facts_.size < view_.needs()) {
        throw Error(fmt::format("'{}' has {} bytes, its manifest describes {}", facts_.name,
                                facts_.size, view_.needs()),
                    "it was cut off, or the manifest is another disk's");
    }
    facts_.size = view_.size;
}

/// Calls `moved(part, its place below)`, `kept(part, region)`, in order; the rest is not wanted.
template <typename Moved, typename Kept>
void MappedDisk::for_each_part(Range range, const Moved& moved, const Kept& kept) const {
    const auto meet = [&range](Range other) {
        const std::uint64_t start = std::max(range.offset, other.offset);
        const std::uint64_t end = std::min(range.end(), other.end());
        return Range{start, end > start ? end - start : 0};
    };
    const auto first_move = std::ranges::upper_bound(
        view_.moves, range.offset, {}, [](const Move& move) { return move.source.end(); });
    for (auto move = first_move; move != view_.moves.end() && move->source.offset < range.end();
         ++move) {
        const Range part = meet(move->source);
        moved(part, part.offset - move->source.offset + move->target);
    }
    const auto first_region =
        std::ranges::upper_bound(view_.kept, range.offset, {},
                                 [](const TableRegion& region) { return region.range().end(); });
    for (auto region = first_region; region != view_.kept.end() && region->offset < range.end();
         ++region) {
        kept(meet(region->range()), *region);
    }
}

void MappedDisk::require_inside(std::string_view action, Range range) const {
    if (!inside(range, view_.size)) {
        throw Error(fmt::format("{} '{}' at {}: it is beyond the end of the source", action,
                                facts_.name, range.offset));
    }
}

void MappedDisk::require_kept(const TableRegion& region, std::uint64_t offset,
                              std::span<const std::byte> bytes) const {
    const auto expected =
        std::span(region.bytes)
            .subspan(static_cast<std::size_t>(offset - region.offset), bytes.size());
    if (!std::ranges::equal(bytes, expected)) {
        throw Error(fmt::format("the source's partition table at {} has changed since the copy was "
                                "planned",
                                offset),
                    "copy again, and leave the source's partitions alone meanwhile");
    }
}

void MappedDisk::read(std::uint64_t offset, std::span<std::byte> into) {
    require_inside("reading", {offset, into.size()});
    const auto part_of = [&](Range part) {
        return into.subspan(static_cast<std::size_t>(part.offset - offset),
                            static_cast<std::size_t>(part.length));
    };
    std::ranges::fill(into, std::byte{0});
    for_each_part(
        {offset, into.size()},
        [&](Range part, std::uint64_t place) { disk_->read(place, part_of(part)); },
        [&](Range part, const TableRegion& region) {
            std::ranges::copy(std::span(region.bytes)
                                  .subspan(static_cast<std::size_t>(part.offset - region.offset),
                                           static_cast<std::size_t>(part.length)),
                              part_of(part).begin());
        });
}

void MappedDisk::write(std::uint64_t offset, std::span<const std::byte> bytes) {
    require_inside("writing", {offset, bytes.size()});
    const auto part_of = [&](Range part) {
        return bytes.subspan(static_cast<std::size_t>(part.offset - offset),
                             static_cast<std::size_t>(part.length));
    };
    for_each_part(
        {offset, bytes.size()},
        [&](Range part, std::uint64_t place) { write_below(place, part_of(part)); },
        [&](Range part, const TableRegion& region) {
            require_kept(region, part.offset, part_of(part));
        });
}

void MappedDisk::zero(std::uint64_t offset, std::uint64_t length) {
    require_inside("zeroing", {offset, length});
    for_each_part(
        {offset, length},
        [&](Range part, std::uint64_t place) {
            zero_below({place, part.length});
        },
        [&](Range part, const TableRegion& region) {
            require_kept(region, part.offset,
                         std::vector<std::byte>(static_cast<std::size_t>(part.length)));
        });
}

template <typename Change>
void MappedDisk::change_page(std::uint64_t offset, std::size_t length, const Change& change) {
    if (length > 0) {
        const std::scoped_lock lock(pages_);
        change_part_of_page(*disk_, offset, length, change);
    }
}

void MappedDisk::write_below(std::uint64_t offset, std::span<const std::byte> bytes) {
    const Cut parts = cut({offset, bytes.size()}, disk_->facts().size);
    const auto part_of = [&](Range part) {
        return bytes.subspan(static_cast<std::size_t>(part.offset - offset),
                             static_cast<std::size_t>(part.length));
    };
    for (const Range& part : {parts.head, parts.tail}) {
        change_page(
            part.offset, static_cast<std::size_t>(part.length),
            [&](std::span<std::byte> page) { std::ranges::copy(part_of(part), page.begin()); });
    }
    if (parts.pages.length > 0) {
        disk_->write(parts.pages.offset, part_of(parts.pages));
    }
}

void MappedDisk::zero_below(Range range) {
    const Cut parts = cut(range, disk_->facts().size);
    for (const Range& part : {parts.head, parts.tail}) {
        change_page(part.offset, static_cast<std::size_t>(part.length),
                    [](std::span<std::byte> page) { std::ranges::fill(page, std::byte{0}); });
    }
    if (parts.pages.length > 0) {
        disk_->zero(parts.pages.offset, parts.pages.length);
    }
}

std::unique_ptr<DiskQueue> MappedDisk::open_queue(unsigned depth) {
    const auto place = [this](Range range) -> std::optional<std::uint64_t> {
        std::optional<std::uint64_t> found;
        for_each_part(
            range,
            [&](Range part, std::uint64_t there) {
                const bool whole_pages =
                    range.length % io_alignment == 0 && there % io_alignment == 0;
                if (part == range && whole_pages) {
                    found = there;
                }
            },
            [](Range, const TableRegion&) {});
        return found;
    };
    return std::make_unique<ViewQueue>(*this, disk_->open_queue(depth), place);
}

} // namespace coldspare::clone
