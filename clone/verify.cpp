#include "clone/verify.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/workers.hpp"
#include "clone/buffer.hpp"
#include "clone/sender.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t piece_size = 1 << 20;
constexpr std::size_t listed_ranges = 10;

/// Joins neighbours.
std::vector<Range> merge(std::vector<Range> ranges) {
    std::ranges::sort(ranges, {}, &Range::offset);
    std::vector<Range> merged;
    for (const Range& range : ranges) {
        if (!merged.empty() && merged.back().end() == range.offset) {
            merged.back().length += range.length;
        } else {
            merged.push_back(range);
        }
    }
    return merged;
}

class VerifyWorker {
public:
    VerifyWorker(Disk& disk, const Manifest& manifest)
        : disk_(disk), manifest_(manifest), piece_(piece_length(manifest.geometry)) {}

    static std::uint64_t piece_length(const Geometry& geometry) {
        return std::max<std::uint64_t>(piece_size, geometry.block_size);
    }

    /// The wrong blocks of `range`.
    std::vector<Range> check(Range range) {
        const Geometry& geometry = manifest_.geometry;
        const std::span<std::byte> bytes = piece_.first(static_cast<std::size_t>(range.length));
        const bool whole = read(range.offset, bytes);
        std::vector<Range> wrong;
        for (std::size_t at = 0; at < bytes.size(); at += geometry.block_size) {
            const std::uint64_t offset = range.offset + at;
            const std::span<std::byte> block = bytes.subspan(at, geometry.length_at(offset));
            // Where the piece could not be read, only the blocks that cannot are wrong.
            const bool readable = whole || read(offset, block);
            if (!readable || hash_block(block) != manifest_.leaves[offset / geometry.block_size]) {
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

    Disk& disk_;
    const Manifest& manifest_;
    AlignedBuffer piece_;
};

} // namespace

VerifyReport verify(Disk& disk, const Manifest& manifest, const ProgressSink& progress,
                    std::stop_token stop) {
    const std::uint64_t size = manifest.geometry.size;
    if (disk.facts().size < size) {
        throw Error(fmt::format("'{}' has {} bytes, its manifest describes {}", disk.facts().name,
                                disk.facts().size, size),
                    "it was cut off, or the manifest is another disk's");
    }
    const TimePoint started = Clock::now();
    RangeCursor cursor(size, VerifyWorker::piece_length(manifest.geometry));
    std::mutex mutex;
    VerifyReport report{.name = disk.facts().name};
    std::vector<Worker> workers;
    for (unsigned i = 0; i < streams_for(0); ++i) {
        workers.emplace_back([&](std::stop_token inner) {
            VerifyWorker worker(disk, manifest);
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
    report.wrong = merge(std::move(report.wrong));
    report.seconds = Seconds(Clock::now() - started).count();
    return report;
}

void require_intact(const VerifyReport& report) {
    if (report.wrong.empty()) {
        return;
    }
    std::string list;
    for (std::size_t i = 0; i < report.wrong.size() && i < listed_ranges; ++i) {
        list += fmt::format("{}{} bytes at {}", i == 0 ? "" : ", ", report.wrong[i].length,
                            report.wrong[i].offset);
    }
    if (report.wrong.size() > listed_ranges) {
        list += fmt::format(" and {} more ranges", report.wrong.size() - listed_ranges);
    }
    throw Error(fmt::format("'{}' does not read back as it was written: {}", report.name, list),
                "the medium is bad, or somebody wrote to it since: do not start the copy, clone "
                "again");
}

} // namespace coldspare::clone
