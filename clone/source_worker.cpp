#include "clone/source_worker.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "clone/io_sizes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <thread>
#include <utility>

namespace coldspare::clone {

namespace {

/// Time that this thread has had a core: what packing costs, whoever else wants the core meanwhile.
std::chrono::nanoseconds thread_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

} // namespace

SourceWorker::SourceWorker(SourceSession& session, Channel& channel)
    : session_(session), channel_(channel), level_(session.plan.compression),
      slots_(session.plan.geometry),
      packed_(static_cast<std::size_t>(piece_length(session.plan.geometry))),
      zero_leaf_(zero_leaf(session.plan.geometry.block_size)),
      queue_(session.disk.open_queue(slots_.count())) {}

void SourceWorker::run(std::stop_token stop) {
    fill(stop);
    while (queue_->under_way() > 0) {
        const DiskQueue::Done done = [&] {
            const Stopwatch reading(session_.counters.io_ns);
            return queue_->wait();
        }();
        finish(done.slot, done.error, stop);
        slots_.give_back(done.slot);
        fill(stop);
    }
    --session_.reading;
    salvage_put_off(stop);
    add(FrameHeader{.type = FrameType::stream_end});
    send(stop);
    --session_.running;
}

void SourceWorker::fill(std::stop_token stop) {
    while (!slots_.none_free()) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        const std::optional<Piece> piece = session_.cursor.next();
        if (!piece) {
            return;
        }
        if (piece->kind != Piece::Kind::data) {
            frame_zeros(*piece, stop);
            continue;
        }
        const unsigned slot = slots_.take();
        slots_[slot].range = piece->range;
        const Stopwatch reading(session_.counters.io_ns);
        queue_->read(slot, piece->range.offset, slots_[slot].bytes());
    }
}

void SourceWorker::finish(unsigned slot, const std::optional<Error>& error, std::stop_token stop) {
    const Range range = slots_[slot].range;
    if (error) {
        if (session_.plan.on_read_error == OnReadError::stop) {
            throw *error;
        }
        session_.put_off(range);
        return;
    }
    session_.counters.bytes_read += range.length;
    session_.good_offset = range.offset;
    frame_piece(range.offset, slots_[slot].bytes(), stop);
}

void SourceWorker::salvage_put_off(std::stop_token stop) {
    while (const std::optional<Range> range = session_.take_put_off()) {
        const std::span<std::byte> bytes =
            slots_[0].buffer.first(static_cast<std::size_t>(range->length));
        const Salvage found = [&] {
            const Stopwatch reading(session_.counters.io_ns);
            return session_.salvage(range->offset, bytes, stop);
        }();
        if (!found.bad.empty() && found.bad.front().length == range->length) {
            session_.require_disk(stop);
        }
        session_.counters.bytes_read += range->length;
        for (const Range& bad : found.bad) {
            add(FrameHeader{.type = FrameType::unreadable,
                            .offset = bad.offset,
                            .raw_length = static_cast<std::uint32_t>(bad.length)});
            if (batch_.full()) {
                send(stop);
            }
        }
        session_.give_up_on(found.bad);
        frame_piece(range->offset, bytes, stop);
    }
}

void SourceWorker::frame_zeros(const Piece& piece, std::stop_token stop) {
    const Geometry& geometry = session_.plan.geometry;
    session_.await_told(piece.range.end(), stop);
    std::uint64_t new_zeros = 0;
    for (std::uint64_t offset = piece.range.offset; offset < piece.range.end();
         offset += geometry.block_size) {
        const std::uint32_t length = geometry.length_at(offset);
        const bool same =
            settle(offset, length == geometry.block_size ? zero_leaf_ : zero_leaf(length));
        new_zeros += same ? 0 : length;
        extend_run(same ? FrameType::same : FrameType::zero, {offset, length});
        if (batch_.full()) {
            send(stop);
        }
    }
    (piece.kind == Piece::Kind::free ? session_.counters.bytes_skipped
                                     : session_.counters.bytes_zero) += new_zeros;
    end_run();
    send(stop);
    session_.counters.bytes_done += piece.range.length;
}

void SourceWorker::frame_piece(std::uint64_t offset, std::span<const std::byte> bytes,
                               std::stop_token stop) {
    const Geometry& geometry = session_.plan.geometry;
    session_.await_told(offset + bytes.size(), stop);
    for (std::size_t at = 0; at < bytes.size(); at += geometry.block_size) {
        const std::uint32_t length = geometry.length_at(offset + at);
        const std::span<const std::byte> block = bytes.subspan(at, length);
        const bool zero = is_zero(block);
        const Leaf leaf = !zero                           ? hash_block(block)
                          : length == geometry.block_size ? zero_leaf_
                                                          : zero_leaf(length);
        const bool same = settle(offset + at, leaf);
        if (zero && !same) {
            session_.counters.bytes_zero += length;
        }
        if (same || zero) {
            extend_run(same ? FrameType::same : FrameType::zero, {offset + at, length});
        } else {
            end_run();
            if (!frame_parts(offset + at, block, leaf)) {
                frame_data(offset + at, block, leaf);
            }
        }
        if (batch_.full()) {
            send(stop);
        }
    }
    end_run();
    send(stop);
    level_.choose();
    session_.counters.bytes_done += bytes.size();
}

bool SourceWorker::settle(std::uint64_t offset, const Leaf& leaf) {
    const std::uint64_t block = offset / session_.plan.geometry.block_size;
    Leaf& place = session_.leaves[block];
    const bool same = session_.plan.told && session_.known.contains(block) && place == leaf;
    place = leaf;
    if (same) {
        session_.counters.bytes_same += session_.plan.geometry.length_at(offset);
    }
    return same;
}

void SourceWorker::extend_run(FrameType type, Range range) {
    if (run_.length > 0 && (run_type_ != type || run_.end() != range.offset ||
                            run_.length + range.length > largest_range)) {
        end_run();
    }
    if (run_.length == 0) {
        run_type_ = type;
        run_.offset = range.offset;
    }
    run_.length += range.length;
}

void SourceWorker::end_run() {
    if (run_.length > 0) {
        add(FrameHeader{.type = run_type_,
                        .offset = run_.offset,
                        .raw_length = static_cast<std::uint32_t>(run_.length)});
        run_ = {};
    }
}

void SourceWorker::frame_data(std::uint64_t offset, std::span<const std::byte> block,
                              const Leaf& leaf) {
    FrameHeader header{.type = FrameType::data,
                       .offset = offset,
                       .raw_length = static_cast<std::uint32_t>(block.size()),
                       .wire_length = static_cast<std::uint32_t>(block.size()),
                       .hash = leaf};
    std::span<const std::byte> payload = block;
    if (const std::optional<int> level = level_.level()) {
        const std::chrono::nanoseconds started = thread_time();
        const std::span<std::byte> room = packed_.span().subspan(packed_used_, block.size());
        if (const std::size_t packed = packer_.pack(block, room, *level); packed > 0) {
            level_.packed(block.size(), packed, thread_time() - started);
            header.codec = Codec::zstd;
            header.wire_length = static_cast<std::uint32_t>(packed);
            payload = room.first(packed);
            packed_used_ += packed;
        }
    }
    add(header, payload);
    session_.counters.bytes_sent += block.size();
    ++session_.counters.blocks_sent;
}

bool SourceWorker::frame_parts(std::uint64_t offset, std::span<const std::byte> block,
                               const Leaf& leaf) {
    const auto length = static_cast<std::uint32_t>(block.size());
    std::vector<PartSum> there(static_cast<std::size_t>(parts_in(length)));
    if (!session_.sums || !session_.sums->get(offset / session_.plan.geometry.block_size, there)) {
        return false;
    }
    hash_parts(block, part_hashes_);
    PartsHead head{.changed = {}, .digest = digest_of(part_hashes_)};
    gathered_.clear();
    for (std::size_t i = 0; i < there.size(); ++i) {
        head.changed.push_back(sum_of(part_hashes_[i]) != there[i]);
        if (head.changed.back()) {
            const Range part = part_range(i, length);
            const std::span<const std::byte> bytes = block.subspan(
                static_cast<std::size_t>(part.offset), static_cast<std::size_t>(part.length));
            gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
        }
    }
    // None: two different parts with equal sums.
    if (gathered_.empty() || gathered_.size() > block.size() / 4 * 3) {
        return false;
    }
    const std::span<std::byte> room = packed_.span().subspan(packed_used_, block.size());
    const std::size_t head_size = parts_head_size(length);
    encode_parts_head(head, room.first(head_size));
    FrameHeader header{
        .type = FrameType::parts, .offset = offset, .raw_length = length, .hash = leaf};
    std::size_t packed = 0;
    if (const std::optional<int> level = level_.level()) {
        packed = packer_.pack(gathered_, room.subspan(head_size), *level);
    }
    if (packed > 0) {
        header.codec = Codec::zstd;
    } else {
        std::ranges::copy(gathered_, room.begin() + static_cast<std::ptrdiff_t>(head_size));
        packed = gathered_.size();
    }
    header.wire_length = static_cast<std::uint32_t>(head_size + packed);
    add(header, room.first(header.wire_length));
    packed_used_ += header.wire_length;
    session_.counters.bytes_sent += gathered_.size();
    session_.counters.bytes_same += block.size() - gathered_.size();
    ++session_.counters.blocks_sent;
    return true;
}

void SourceWorker::add(const FrameHeader& header, std::span<const std::byte> payload) {
    batch_.add(header, payload);
}

void SourceWorker::send(std::stop_token stop) {
    if (batch_.empty()) {
        return;
    }
    const TimePoint before = Clock::now();
    {
        const Stopwatch sending(session_.counters.net_ns);
        session_.bucket.pace(batch_.size(), stop);
        channel_.send(batch_.pieces(), stop);
    }
    const TimePoint after = Clock::now();
    const Seconds turn = after - std::exchange(sent_, after);
    if (const Rate limit = session_.plan.limit.at(local_minute_of_day())) {
        level_.carried(static_cast<double>(*limit) / session_.plan.streams);
    } else if (std::optional<double> rate = channel_.delivery_rate()) {
        // TCP tells what it carried while it carried something. Streams that take turns on one link
        // each see all of it; so where the network holds us up, what it took counts.
        if (Seconds(after - before) > turn / 4) {
            rate = std::min(*rate, static_cast<double>(batch_.size()) / turn.count());
        }
        level_.carried(*rate);
    }
    batch_.clear();
    packed_used_ = 0;
}

void SourceWorker::read_again(std::uint64_t offset, std::span<std::byte> block, const Leaf& sent,
                              std::stop_token stop) {
    if (sent == zero_leaf(static_cast<std::uint32_t>(block.size()))) {
        // It may be free space, which counts as zeros whatever lies there.
        std::ranges::fill(block, std::byte{0});
        return;
    }
    try {
        session_.disk.read(offset, block);
    } catch (const Error&) {
        if (session_.plan.on_read_error == OnReadError::stop) {
            throw;
        }
        static_cast<void>(session_.salvage(offset, block, stop));
    }
}

void SourceWorker::send_again(Range range, std::stop_token stop) {
    const Geometry& geometry = session_.plan.geometry;
    for (std::uint64_t offset = range.offset; offset < range.end(); offset += geometry.block_size) {
        const std::span<std::byte> block = slots_[0].buffer.first(geometry.length_at(offset));
        const Leaf sent = session_.leaves[offset / geometry.block_size];
        read_again(offset, block, sent, stop);
        const Leaf leaf = hash_block(block);
        if (leaf != sent) {
            throw Error(fmt::format("the block at {} of '{}' has changed since it was sent", offset,
                                    session_.disk.facts().name),
                        "something writes to the source: boot the live image for a sure copy");
        }
        frame_data(offset, block, leaf);
        send(stop);
    }
}

} // namespace coldspare::clone
