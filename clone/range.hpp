#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace coldspare::clone {

/// Bytes [offset, offset + length) of a disk.
struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;

    [[nodiscard]] std::uint64_t end() const { return offset + length; }
    bool operator==(const Range&) const = default;
};

/// Whether `range` lies on [0, size); safe against overflow.
[[nodiscard]] constexpr bool inside(Range range, std::uint64_t size) {
    return range.offset <= size && range.length <= size - range.offset;
}

/// Hands out consecutive pieces of [0, size) to any number of threads, each byte once, in order: a
/// rotating disk then sees one sequential reader.
class RangeCursor {
public:
    /// `piece` is the length of each range; the last one is what remains.
    RangeCursor(std::uint64_t size, std::uint64_t piece) : size_(size), piece_(piece) {}

    /// The next range, or nothing when all are taken.
    [[nodiscard]] std::optional<Range> next() {
        const std::uint64_t index = taken_.fetch_add(1, std::memory_order_relaxed);
        const std::uint64_t pieces = size_ / piece_ + (size_ % piece_ != 0 ? 1 : 0);
        if (index >= pieces) {
            return std::nullopt;
        }
        const std::uint64_t offset = index * piece_;
        return Range{offset, size_ - offset < piece_ ? size_ - offset : piece_};
    }

private:
    std::uint64_t size_;
    std::uint64_t piece_;
    std::atomic<std::uint64_t> taken_{0};
};

} // namespace coldspare::clone
