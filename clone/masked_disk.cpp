#include "clone/masked_disk.hpp"

#include "base/error.hpp"
#include "clone/disk_view.hpp"
#include "clone/view_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace coldspare::clone {

MaskedDisk::MaskedDisk(Disk& disk, std::vector<Range> masked)
    : disk_(disk), masked_(std::move(masked)) {}

std::vector<Range>::const_iterator MaskedDisk::first_behind(std::uint64_t offset) const {
    return std::ranges::upper_bound(masked_, offset, {}, &Range::end);
}

void MaskedDisk::read(std::uint64_t offset, std::span<std::byte> into) {
    const Range range{offset, into.size()};
    const auto first = first_behind(offset);
    if (first == masked_.end() || first->offset >= range.end()) {
        disk_.read(offset, into);
        return;
    }
    std::ranges::fill(into, std::byte{0});
    for (const Range& part : without(range, std::span(first, masked_.end()))) {
        disk_.read(part.offset, into.subspan(static_cast<std::size_t>(part.offset - offset),
                                             static_cast<std::size_t>(part.length)));
    }
}

void MaskedDisk::write(std::uint64_t offset, std::span<const std::byte> /*bytes*/) {
    throw Error(fmt::format("writing '{}' at {}: it is a source", facts().name, offset));
}

void MaskedDisk::zero(std::uint64_t offset, std::uint64_t /*length*/) {
    throw Error(fmt::format("zeroing '{}' at {}: it is a source", facts().name, offset));
}

Extent MaskedDisk::extent_at(std::uint64_t offset) {
    const auto next = first_behind(offset);
    if (next == masked_.end()) {
        return disk_.extent_at(offset);
    }
    if (next->offset <= offset) {
        return {next->end() - offset, true};
    }
    Extent extent = disk_.extent_at(offset);
    extent.length = std::min(extent.length, next->offset - offset);
    return extent;
}

std::unique_ptr<DiskQueue> MaskedDisk::open_queue(unsigned depth) {
    const auto place = [this](Range range) -> std::optional<std::uint64_t> {
        const auto first = first_behind(range.offset);
        const bool apart = first == masked_.end() || first->offset >= range.end();
        return apart ? std::optional(range.offset) : std::nullopt;
    };
    return std::make_unique<ViewQueue>(*this, disk_.open_queue(depth), place);
}

} // namespace coldspare::clone
