// How ddrescue does it: first what is good, then the edges of what is not, then sector by sector.
//
//   all of it        |................................................................|
//   1. by 64 KiB     |gggg|gggg|gggg|gggg|BBBB|----|----|----|----|----|BBBB|gggg|gggg|
//                     from the front until one fails >>>>    <<<< from the back until one fails,
//                     then what lies between
//   2. by 4 KiB      in each 64 KiB that failed: from the front, then from the back
//   3. by sector     what is left between, in the manner of 1
//   4. by sector     again those that failed, as often as asked for
//
// A bad area is often a scratch, i.e. one run: coming from both sides meets each end of it once,
// at the cost of two slow reads, and has all that is good by then.
#include "clone/salvage.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t coarse = 64 * 1024;
constexpr std::uint64_t fine = 4 * 1024;

/// What is done between two edges of a bad area.
enum class Middle { read, leave };

/// One piece. Ranges are offsets in it, and not on the disk.
class Salvager {
public:
    Salvager(Disk& disk, std::uint64_t offset, std::span<std::byte> into,
             const SalvageOptions& options, std::stop_token stop)
        : disk_(disk), offset_(offset), into_(into), options_(options), stop_(std::move(stop)),
          start_(options.now()) {}

    [[nodiscard]] Salvage run() {
        const std::uint64_t sector = readable_unit(disk_.facts());
        std::vector<Range> bad{{0, into_.size()}};
        bad = pass(bad, std::max(coarse, sector), Middle::read);
        bad = joined(pass(bad, std::max(fine, sector), Middle::leave));
        bad = pass(bad, sector, Middle::read);
        for (unsigned i = 0; i < options_.retries && !bad.empty() && !gave_up_; ++i) {
            bad = pass(bad, sector, Middle::read);
        }
        bad = joined(std::move(bad));
        for (Range& range : bad) {
            std::ranges::fill(part(range), std::byte{0});
            range.offset += offset_;
        }
        return {std::move(bad), gave_up_};
    }

private:
    /// Reads each of `ranges` by `unit`. Returns what is still unread, in order: units that failed,
    /// and runs of them that were not tried.
    [[nodiscard]] std::vector<Range> pass(const std::vector<Range>& ranges, std::uint64_t unit,
                                          Middle middle) {
        std::vector<Range> unread;
        for (const Range& range : ranges) {
            read_from_both_ends(range, unit, middle, unread);
        }
        return unread;
    }

    void read_from_both_ends(Range range, std::uint64_t unit, Middle middle,
                             std::vector<Range>& unread) {
        const std::uint64_t end = range.end();
        // A unit of which the front is at `at`, and the one of which the end is at `at`.
        const auto at_front = [&](std::uint64_t at) { return Range{at, std::min(unit, end - at)}; };
        const auto at_back = [&](std::uint64_t at) {
            const std::uint64_t begin = range.offset + (at - range.offset - 1) / unit * unit;
            return Range{begin, at - begin};
        };
        std::uint64_t front = range.offset;
        while (front < end && read(at_front(front))) {
            front += at_front(front).length;
        }
        if (front == end) {
            return;
        }
        // The unit at the front is bad; come from the back until another one is, or it is reached.
        const std::uint64_t after_front = at_front(front).end();
        std::uint64_t back = end;
        while (back > after_front && read(at_back(back))) {
            back = at_back(back).offset;
        }
        if (middle == Middle::leave || gave_up_) {
            unread.push_back({front, back - front});
            return;
        }
        unread.push_back(at_front(front));
        if (back == after_front) {
            return;
        }
        const Range last_bad = at_back(back);
        for (std::uint64_t at = after_front; at < last_bad.offset; at += unit) {
            if (!read(at_front(at))) {
                unread.push_back(at_front(at));
            }
        }
        unread.push_back(last_bad);
    }

    /// False if it cannot be read, or there is no time left for it.
    [[nodiscard]] bool read(Range range) {
        if (stop_.stop_requested()) {
            throw interrupted();
        }
        gave_up_ = gave_up_ || options_.now() - start_ >= options_.budget;
        if (gave_up_) {
            return false;
        }
        try {
            disk_.read(offset_ + range.offset, part(range));
            return true;
        } catch (const Error&) {
            return false;
        }
    }

    [[nodiscard]] std::span<std::byte> part(Range range) const {
        return into_.subspan(static_cast<std::size_t>(range.offset),
                             static_cast<std::size_t>(range.length));
    }

    [[nodiscard]] static std::vector<Range> joined(std::vector<Range> ranges) {
        std::vector<Range> result;
        for (const Range& range : ranges) {
            if (!result.empty() && result.back().end() == range.offset) {
                result.back().length += range.length;
            } else {
                result.push_back(range);
            }
        }
        return result;
    }

    Disk& disk_;
    std::uint64_t offset_;
    std::span<std::byte> into_;
    const SalvageOptions& options_;
    std::stop_token stop_;
    TimePoint start_;
    bool gave_up_ = false;
};

} // namespace

Salvage salvage(Disk& disk, std::uint64_t offset, std::span<std::byte> into,
                const SalvageOptions& options, std::stop_token stop) {
    return Salvager(disk, offset, into, options, std::move(stop)).run();
}

} // namespace coldspare::clone
