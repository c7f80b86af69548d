#pragma once

#include "clone/blocks.hpp"
#include "clone/disk.hpp"
#include "clone/range.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace coldspare::clone {

/// A stretch of whole blocks for one worker.
struct Piece {
    enum class Kind {
        data, ///< to be read
        hole, ///< zeros, as the file system that holds the image says
        free, ///< nothing: the file system on the disk does not use it; counts as zeros
    };
    Range range;
    Kind kind = Kind::data;
};

/// How far pieces may go; both are multiples of the block size.
struct PieceLengths {
    std::uint64_t data = 0;
    std::uint64_t zero = 0; ///< of a hole or of free space
};

/// Hands out a disk in pieces to any number of threads: each block once, in order, so that a
/// rotating disk sees one sequential reader. Holes and free space come as pieces of their own,
/// without being read; a block that is one only in part is data.
class SourceCursor {
public:
    /// `free`: sorted and disjoint.
    SourceCursor(Disk& disk, const Geometry& geometry, PieceLengths lengths,
                 std::vector<Range> free);

    /// The next piece, or nothing when all are taken.
    [[nodiscard]] std::optional<Piece> next();

    /// Everything before it was handed out.
    [[nodiscard]] std::uint64_t position() const { return position_; }

private:
    /// The kind of the bytes at `offset` and where that ends.
    struct Stretch {
        Piece::Kind kind = Piece::Kind::data;
        std::uint64_t end = 0;
    };
    [[nodiscard]] Stretch stretch_at(std::uint64_t offset);

    Disk& disk_;
    Geometry geometry_;
    PieceLengths lengths_;
    std::vector<Range> free_;
    std::mutex mutex_;
    std::size_t free_at_ = 0;                ///< the first of free_ that ends beyond position_
    std::atomic<std::uint64_t> position_{0}; ///< a multiple of the block size, or the end
    Extent extent_;                          ///< as the disk told it for extent_start_
    std::uint64_t extent_start_ = 0;
};

} // namespace coldspare::clone
