#include "clone/cursor.hpp"

#include <algorithm>
#include <utility>

namespace coldspare::clone {

SourceCursor::SourceCursor(Disk& disk, const Geometry& geometry, PieceLengths lengths,
                           std::vector<Range> free)
    : disk_(disk), geometry_(geometry), lengths_(lengths), free_(std::move(free)) {}

SourceCursor::Stretch SourceCursor::stretch_at(std::uint64_t offset) {
    while (free_at_ < free_.size() && free_[free_at_].end() <= offset) {
        ++free_at_;
    }
    const std::uint64_t next_free =
        free_at_ < free_.size() ? free_[free_at_].offset : geometry_.size;
    if (next_free <= offset) {
        return {Piece::Kind::free, std::min(free_[free_at_].end(), geometry_.size)};
    }
    if (offset >= extent_start_ + extent_.length) {
        extent_ = disk_.extent_at(offset);
        extent_start_ = offset;
    }
    const std::uint64_t end = std::min(extent_start_ + extent_.length, next_free);
    return {extent_.zero ? Piece::Kind::hole : Piece::Kind::data, std::min(end, geometry_.size)};
}

std::optional<Piece> SourceCursor::next() {
    const std::scoped_lock lock(mutex_);
    if (position_ >= geometry_.size) {
        return std::nullopt;
    }
    const std::uint64_t start = position_;
    const auto whole_blocks = [&](std::uint64_t end) {
        return end == geometry_.size ? end : end / geometry_.block_size * geometry_.block_size;
    };
    const Stretch first = stretch_at(start);
    if (first.kind != Piece::Kind::data) {
        const std::uint64_t end = std::min(whole_blocks(first.end),
                                           start + std::min(lengths_.zero, geometry_.size - start));
        if (end > start) {
            position_ = end;
            return Piece{{start, end - start}, first.kind};
        }
    }
    // Data up to the next whole block that is none, or up to a boundary of pieces: with those at
    // multiples of their length, all reads are aligned to it.
    const std::uint64_t boundary =
        std::min(geometry_.size, (start / lengths_.data + 1) * lengths_.data);
    std::uint64_t end = std::min(start + geometry_.block_size, boundary);
    while (end < boundary) {
        const Stretch stretch = stretch_at(end);
        const std::uint64_t next_block = std::min(end + geometry_.block_size, boundary);
        if (stretch.kind != Piece::Kind::data && stretch.end >= next_block) {
            break;
        }
        end = next_block;
    }
    position_ = end;
    return Piece{{start, end - start}, Piece::Kind::data};
}

} // namespace coldspare::clone
