#include "clone/rehash.hpp"

#include "base/error.hpp"
#include "clone/io_sizes.hpp"
#include "clone/parts.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <thread>

namespace coldspare::clone {

namespace {

/// Reads ranges in pieces, a few at once, and hands them out in order.
class Reader {
public:
    Reader(Disk& disk, const std::vector<Range>& ranges, std::uint64_t longest)
        : ranges_(ranges), longest_(longest), memory_(static_cast<std::size_t>(depth * longest)) {
        for (unsigned i = 0; i < depth; ++i) {
            slots_[i].buffer = memory_.span().subspan(static_cast<std::size_t>(i * longest),
                                                      static_cast<std::size_t>(longest));
        }
        queue_ = disk.open_queue(depth);
    }

    struct Read {
        Range range;
        std::span<const std::byte> bytes; ///< valid until the next call; empty: cannot be read
    };
    std::optional<Read> next() {
        while (asked_ < given_ + depth && ask()) {
        }
        if (given_ == asked_) {
            return std::nullopt;
        }
        Slot& slot = slots_[given_++ % depth];
        while (slot.state == State::waiting) {
            const DiskQueue::Done done = queue_->wait();
            slots_[done.slot].state = done.error ? State::bad : State::good;
        }
        const std::span<const std::byte> bytes = bytes_of(slot);
        return Read{slot.range, slot.state == State::good ? bytes : std::span<const std::byte>()};
    }

private:
    static constexpr unsigned depth = 4;
    enum class State { waiting, good, bad };
    struct Slot {
        Range range;
        State state = State::waiting;
        std::span<std::byte> buffer; ///< a part of memory_
    };

    /// Whether there was another piece to ask for.
    bool ask() {
        if (range_at_ == ranges_.size()) {
            return false;
        }
        const Range& range = ranges_[range_at_];
        const std::uint64_t start = range.offset + taken_;
        const auto index = static_cast<unsigned>(asked_++ % depth);
        Slot& slot = slots_[index];
        slot.range = {start, std::min(range.end() - start, longest_ - start % longest_)};
        slot.state = State::waiting;
        queue_->read(index, start, bytes_of(slot));
        taken_ += slot.range.length;
        if (taken_ == range.length) {
            ++range_at_;
            taken_ = 0;
        }
        return true;
    }

    static std::span<std::byte> bytes_of(Slot& slot) {
        return slot.buffer.first(static_cast<std::size_t>(slot.range.length));
    }

    const std::vector<Range>& ranges_;
    std::uint64_t longest_;
    std::size_t range_at_ = 0;
    std::uint64_t taken_ = 0; ///< of ranges_[range_at_]
    std::uint64_t asked_ = 0;
    std::uint64_t given_ = 0;
    AlignedBuffer memory_; ///< of all slots
    std::array<Slot, depth> slots_;
    std::unique_ptr<DiskQueue> queue_; // ends before the buffers
};

/// Until the source wants to hear of what lies before `end`: a side remembers the parts of a
/// stretch of the disk, and not of all.
void await_credit(const TargetSession& session, std::uint64_t end, const std::stop_token& stop) {
    while (end > session.credit) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

} // namespace

void tell_what_is_there(Disk& medium, const std::vector<Range>& worth_reading,
                        TargetSession& session, Control& control, std::stop_token stop) {
    const Geometry& geometry = session.geometry;
    Reader reader(medium, worth_reading, piece_length(geometry));
    std::uint64_t told = 0;
    const auto tell = [&](Range range, std::string leaves) {
        told = range.end();
        session.told_until = told; // First: the answer may be here before post() returns.
        control.post({FrameType::hashes, std::move(leaves), range}, stop);
    };
    const auto nothing_until = [&](std::uint64_t end) {
        while (told < end) {
            tell({told, std::min<std::uint64_t>(end - told, largest_range)}, {});
        }
    };
    std::vector<Leaf> parts;
    while (const std::optional<Reader::Read> read = reader.next()) {
        nothing_until(read->range.offset);
        await_credit(session, read->range.end(), stop);
        std::string leaves;
        std::string sums;
        for (std::size_t at = 0; at < read->bytes.size(); at += geometry.block_size) {
            const std::uint64_t offset = read->range.offset + at;
            const std::uint64_t block = offset / geometry.block_size;
            const Leaf leaf = hash_block(read->bytes.subspan(at, geometry.length_at(offset)));
            session.leaves[block] = leaf;
            session.known.insert(block);
            leaves.append(reinterpret_cast<const char*>(leaf.data()), leaf.size());
            if (session.parts) {
                hash_parts(read->bytes.subspan(at, geometry.length_at(offset)), parts);
                session.parts->put(block, parts);
                for (const Leaf& part : parts) {
                    const PartSum sum = sum_of(part);
                    sums.append(reinterpret_cast<const char*>(sum.data()), sum.size());
                }
            }
        }
        if (!sums.empty()) { // First: with the HASHES the source goes on.
            control.post({FrameType::subhashes, std::move(sums), read->range}, stop);
        }
        tell(read->range, std::move(leaves));
    }
    nothing_until(geometry.size);
}

void tell_what_is_proved(TargetSession& session, Control& control, std::stop_token stop) {
    const Geometry& geometry = session.geometry;
    const std::uint64_t longest = piece_length(geometry);
    for (std::uint64_t offset = 0; offset < geometry.size; offset += longest) {
        const Range range{offset, std::min(longest, geometry.size - offset)};
        await_credit(session, range.end(), stop);
        std::string told;
        for (std::uint64_t at = offset; at < range.end(); at += geometry.block_size) {
            const std::uint64_t block = at / geometry.block_size;
            const Leaf& leaf = session.leaves[static_cast<std::size_t>(block)];
            session.known.insert(block);
            told.append(reinterpret_cast<const char*>(leaf.data()), leaf.size());
        }
        session.told_until = range.end(); // First: the answer may be here before post() returns.
        control.post({FrameType::hashes, std::move(told), range}, stop);
    }
}

} // namespace coldspare::clone
