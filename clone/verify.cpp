#include "clone/verify.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/workers.hpp"
#include "clone/buffer.hpp"
#include "clone/io_sizes.hpp"
#include "clone/places.hpp"
#include "clone/sender.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

namespace coldspare::clone {

namespace {

constexpr std::size_t listed_ranges = 10;
constexpr std::chrono::seconds look_for_files{10};

class VerifyWorker {
public:
    VerifyWorker(Disk& disk, const Geometry& geometry, std::span<const Leaf> leaves,
                 std::span<const Range> left_out = {})
        : disk_(disk), geometry_(geometry), leaves_(leaves), left_out_(left_out),
          piece_(static_cast<std::size_t>(piece_length(geometry))) {}

    /// The wrong blocks of `range`.
    std::vector<Range> check(Range range) {
        const std::span<std::byte> bytes = piece_.first(static_cast<std::size_t>(range.length));
        const bool whole = read(range.offset, bytes);
        std::vector<Range> wrong;
        for (std::size_t at = 0; at < bytes.size(); at += geometry_.block_size) {
            const std::uint64_t offset = range.offset + at;
            const std::span<std::byte> block = bytes.subspan(at, geometry_.length_at(offset));
            if (is_left_out({offset, block.size()})) {
                continue;
            }
            // Where the piece could not be read, only the blocks that cannot are wrong.
            const bool readable = whole || read(offset, block);
            if (!readable || hash_block(block) != leaves_[offset / geometry_.block_size]) {
                wrong.push_back({offset, block.size()});
            }
        }
        return wrong;
    }

private:
    /// Whether the bytes could be read.
    bool read(std::uint64_t offset, std::span<std::byte> into) {
        try {
            disk_.read(offset, into);
            return true;
        } catch (const Error&) {
            return false;
        }
    }

    [[nodiscard]] bool is_left_out(Range block) const {
        return std::ranges::any_of(left_out_, [block](const Range& range) {
            return range.offset < block.end() && block.offset < range.end();
        });
    }

    Disk& disk_;
    const Geometry& geometry_;
    std::span<const Leaf> leaves_;
    std::span<const Range> left_out_;
    AlignedBuffer piece_;
};

} // namespace

VerifyReport verify(Disk& disk, const Geometry& geometry, std::span<const Leaf> leaves,
                    const ProgressSink& progress, std::stop_token stop,
                    std::span<const Range> left_out) {
    const std::uint64_t size = geometry.size;
    if (disk.facts().size < size) {
        throw Error(fmt::format("'{}' has {} bytes, its manifest describes {}", disk.facts().name,
                                disk.facts().size, size),
                    "it was cut off, or the manifest is another disk's");
    }
    const TimePoint started = Clock::now();
    RangeCursor cursor(size, piece_length(geometry));
    std::mutex mutex;
    VerifyReport report{.name = disk.facts().name};
    std::vector<Worker> workers;
    for (unsigned i = 0; i < streams_for(0); ++i) {
        workers.emplace_back([&](std::stop_token inner) {
            VerifyWorker worker(disk, geometry, leaves, left_out);
            while (const std::optional<Range> range = cursor.next()) {
                if (inner.stop_requested()) {
                    return;
                }
                const std::vector<Range> wrong = worker.check(*range);
                const std::scoped_lock lock(mutex);
                report.wrong.insert(report.wrong.end(), wrong.begin(), wrong.end());
                report.bytes_read += range->length;
                progress({report.bytes_read, size, {}});
            }
        });
    }
    run_workers(stop, std::move(workers));
    report.wrong = joined(std::move(report.wrong));
    report.seconds = Seconds(Clock::now() - started).count();
    return report;
}

std::vector<Range> verify_range(Disk& disk, const Geometry& geometry, std::span<const Leaf> leaves,
                                Range range) {
    VerifyWorker worker(disk, geometry, leaves);
    std::vector<Range> wrong;
    const std::uint64_t longest = piece_length(geometry);
    for (std::uint64_t at = range.offset; at < range.end(); at += longest) {
        const std::vector<Range> found = worker.check({at, std::min(range.end() - at, longest)});
        wrong.insert(wrong.end(), found.begin(), found.end());
    }
    return joined(std::move(wrong));
}

void require_intact(const VerifyReport& report) {
    if (report.wrong.empty()) {
        return;
    }
    std::vector<Range> listed = report.wrong;
    listed.resize(std::min(listed.size(), listed_ranges));
    std::string list;
    for (const Place& place : places_of(report.name, listed, look_for_files, {})) {
        list += (list.empty() ? "" : ", ") + place.text();
    }
    if (report.wrong.size() > listed_ranges) {
        list += fmt::format(" and {} more ranges", report.wrong.size() - listed_ranges);
    }
    throw Error(fmt::format("'{}' does not read back as it was written: {}", report.name, list),
                "the medium is bad, or somebody wrote to it since: do not start the copy, clone "
                "again");
}

} // namespace coldspare::clone
