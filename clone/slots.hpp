#pragma once

#include "clone/buffer.hpp"
#include "clone/io_sizes.hpp"
#include "clone/range.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace coldspare::clone {

/// The buffers of one worker, a piece long each, by the numbers that a DiskQueue calls them. They
/// must live longer than the queue.
class Slots {
public:
    explicit Slots(const Geometry& geometry)
        : memory_(static_cast<std::size_t>(queue_depth(geometry) * piece_length(geometry))) {
        const auto length = static_cast<std::size_t>(piece_length(geometry));
        for (unsigned i = 0; i < queue_depth(geometry); ++i) {
            slots_.push_back({memory_.span().subspan(i * length, length), {}});
            free_.push_back(i);
        }
    }

    struct Slot {
        std::span<std::byte> buffer;
        Range range;           ///< of the disk, for whoever has taken the slot
        bool in_parts = false; ///< whether the range need not be of whole blocks

        /// The part of the buffer that `range` fills.
        [[nodiscard]] std::span<std::byte> bytes() const {
            return buffer.first(static_cast<std::size_t>(range.length));
        }
    };
    [[nodiscard]] Slot& operator[](unsigned number) { return slots_[number]; }
    [[nodiscard]] unsigned count() const { return static_cast<unsigned>(slots_.size()); }

    [[nodiscard]] bool none_free() const { return free_.empty(); }
    /// One must be free.
    [[nodiscard]] unsigned take() {
        const unsigned number = free_.back();
        free_.pop_back();
        return number;
    }
    void give_back(unsigned number) { free_.push_back(number); }

private:
    AlignedBuffer memory_; ///< in one part, for huge pages
    std::vector<Slot> slots_;
    std::vector<unsigned> free_;
};

} // namespace coldspare::clone
