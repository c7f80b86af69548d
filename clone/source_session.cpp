#include "clone/source_session.hpp"

#include "base/error.hpp"
#include "clone/buffer.hpp"
#include "clone/io_sizes.hpp"
#include "clone/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t longest_zero_piece = largest_range;
// Where the target tells what it has, its word on a whole piece is awaited.
constexpr std::uint64_t zero_piece_when_told = 16 << 20;

} // namespace

SourceSession::SourceSession(Disk& source, SourcePlan asked)
    : disk(source), plan(std::move(asked)),
      cursor(disk, plan.geometry,
             {.data = piece_length(plan.geometry),
              .zero = plan.told ? zero_piece_when_told : longest_zero_piece},
             plan.free),
      leaves(plan.geometry.block_count()), known(plan.told ? plan.geometry.block_count() : 0),
      bucket(plan.limit), told_until_(plan.told ? 0 : plan.geometry.size) {
    if (plan.told && has_parts(plan.geometry)) {
        sums.emplace(plan.geometry, remembered);
    }
}

void SourceSession::tell(Range range, std::span<const std::byte> told) {
    const std::scoped_lock lock(mutex_);
    if (range.offset != told_until_ || !plan.told) {
        throw protocol_error(
            fmt::format("HASHES for {} where {} was due", range.offset, told_until_));
    }
    const std::uint64_t first = range.offset / plan.geometry.block_size;
    for (std::size_t i = 0; i < told.size() / sizeof(Leaf); ++i) {
        std::memcpy(leaves[first + i].data(), told.data() + i * sizeof(Leaf), sizeof(Leaf));
        known.insert(first + i);
    }
    told_until_ = range.end();
    told_more_.notify_all();
}

void SourceSession::tell_parts(Range range, std::span<const std::byte> told) {
    if (!sums) {
        throw protocol_error("SUBHASHES where none were to be told");
    }
    std::vector<PartSum> parts;
    for (std::uint64_t offset = range.offset; offset < range.end();
         offset += plan.geometry.block_size) {
        parts.resize(static_cast<std::size_t>(parts_in(plan.geometry.length_at(offset))));
        const std::size_t bytes = parts.size() * sizeof(PartSum);
        std::memcpy(parts.data(), told.data(), bytes);
        told = told.subspan(bytes);
        sums->put(offset / plan.geometry.block_size, parts);
    }
}

std::optional<std::uint64_t> SourceSession::more_credit() {
    const std::uint64_t now = cursor.position() + told_ahead;
    if (!plan.told || credit_ >= plan.geometry.size || now < credit_ + told_ahead / 8) {
        return std::nullopt;
    }
    credit_ = now;
    return credit_;
}

void SourceSession::await_told(std::uint64_t end, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (told_until_ < end) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        told_more_.wait_for(lock, std::chrono::milliseconds(100));
    }
}

void SourceSession::put_off(Range piece) {
    const std::scoped_lock lock(mutex_);
    put_off_.push_back(piece);
}

void SourceSession::require_disk(std::stop_token stop) {
    while (good_offset == UINT64_MAX && reading > 0) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    try {
        if (good_offset == UINT64_MAX) {
            throw Error("not a single piece of it could be read");
        }
        AlignedBuffer probe(io_alignment);
        const std::uint64_t offset = good_offset;
        disk.read(offset, probe.first(static_cast<std::size_t>(
                              std::min<std::uint64_t>(probe.size(), plan.geometry.size - offset))));
    } catch (Error& error) {
        error.prepend("the disk does not answer any more");
        throw;
    }
}

std::optional<Range> SourceSession::take_put_off() {
    const std::scoped_lock lock(mutex_);
    if (put_off_.empty()) {
        return std::nullopt;
    }
    const Range piece = put_off_.back();
    put_off_.pop_back();
    return piece;
}

Salvage SourceSession::salvage(std::uint64_t offset, std::span<std::byte> into,
                               std::stop_token stop) {
    const std::scoped_lock lock(salvaging_);
    return clone::salvage(disk, offset, into, {}, std::move(stop));
}

void SourceSession::give_up_on(const std::vector<Range>& ranges) {
    const std::scoped_lock lock(mutex_);
    unreadable_.insert(unreadable_.end(), ranges.begin(), ranges.end());
}

std::vector<Range> SourceSession::unreadable() const {
    const std::scoped_lock lock(mutex_);
    return joined(unreadable_);
}

} // namespace coldspare::clone
