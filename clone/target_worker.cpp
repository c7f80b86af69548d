#include "clone/target_worker.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "clone/io_sizes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace coldspare::clone {

namespace {

// Zeroing is asked for in parts, so that a stop is seen between them.
constexpr std::uint64_t zeroed_at_once = 128 << 20;
constexpr std::size_t most_unreadable = 1 << 20;

Error damaged(const FrameHeader& header) {
    return Error(fmt::format("the block at {} ({}) was damaged on the way: its hash is another",
                             header.offset, format_bytes(header.offset)),
                 "the network or a machine's memory damages data: check both, use TLS");
}

} // namespace

// --- what the workers share --------------------------------------------------------------------

TargetSession::TargetSession(Disk& target, const Geometry& shape)
    : disk(target), geometry(shape), leaves(shape.block_count()), arrivals(shape.block_count()),
      known(shape.block_count()) {}

void TargetSession::written(Range blocks) {
    bytes_written_ += blocks.length;
    const std::scoped_lock lock(mutex_);
    std::vector<Range>& list = written_.blocks;
    if (!list.empty() && list.back().end() == blocks.offset) {
        list.back().length += blocks.length;
    } else {
        list.push_back(blocks);
    }
}

void TargetSession::written_in_parts(std::uint64_t bytes) {
    bytes_written_ += bytes;
    const std::scoped_lock lock(mutex_);
    written_.in_parts += bytes;
}

void TargetSession::want(Range block) {
    const std::scoped_lock lock(mutex_);
    wanted_.push_back(block);
}

std::vector<Range> TargetSession::take_wanted() {
    const std::scoped_lock lock(mutex_);
    return joined(std::exchange(wanted_, {}));
}

TargetSession::Written TargetSession::take_written() {
    const std::scoped_lock lock(mutex_);
    Written taken = std::exchange(written_, {});
    taken.blocks = joined(std::move(taken.blocks));
    return taken;
}

void TargetSession::note_unreadable(Range range) {
    const std::scoped_lock lock(mutex_);
    if (unreadable_.size() == most_unreadable) {
        unreadable_ = joined(std::move(unreadable_));
    }
    if (unreadable_.size() == most_unreadable) {
        throw Error(fmt::format("the source has more than {} unreadable places", most_unreadable),
                    "save the disk with ddrescue, and clone the image that makes");
    }
    unreadable_.push_back(range);
}

std::vector<Range> TargetSession::unreadable() const {
    const std::scoped_lock lock(mutex_);
    return joined(unreadable_);
}

// --- one worker --------------------------------------------------------------------------------

TargetWorker::TargetWorker(TargetSession& session, Channel& channel)
    : session_(session), channel_(channel), slots_(session.geometry),
      packed_(session.geometry.block_size), queue_(session.disk.open_queue(slots_.count())) {}

void TargetWorker::run(std::stop_token stop) {
    for (;;) {
        const FrameHeader header = receive_header(stop);
        switch (header.type) {
        case FrameType::stream_end:
            write_run();
            while (queue_->under_way() > 0) {
                reap();
            }
            --session_.running;
            return;
        case FrameType::zero:
            check_data_frame(header, session_.geometry);
            take_zeros(header, stop);
            break;
        case FrameType::same:
            check_data_frame(header, session_.geometry);
            take_same(header);
            break;
        case FrameType::unreadable:
            check_data_frame(header, session_.geometry);
            session_.note_unreadable(header.range());
            break;
        case FrameType::data:
            check_data_frame(header, session_.geometry);
            claim(header.range());
            take_data(header, stop);
            session_.leaves[header.offset / session_.geometry.block_size] = header.hash;
            count_data(header, header.raw_length);
            break;
        case FrameType::parts:
            check_data_frame(header, session_.geometry);
            claim(header.range());
            take_parts(header, stop);
            session_.leaves[header.offset / session_.geometry.block_size] = header.hash;
            break;
        default:
            skip(header, stop);
        }
    }
}

void TargetWorker::take_again(Range range, std::stop_token stop) {
    for (std::uint64_t offset = range.offset; offset < range.end();
         offset += session_.geometry.block_size) {
        const FrameHeader header = receive_header(stop);
        check_data_frame(header, session_.geometry);
        if (header.type != FrameType::data || header.offset != offset ||
            header.hash != session_.leaves[offset / session_.geometry.block_size]) {
            throw protocol_error(fmt::format("{} at {} where the block at {} was asked for again",
                                             frame_name(header.type), header.offset, offset));
        }
        take_data(header, stop);
        count_data(header, header.raw_length);
    }
    write_run();
    while (queue_->under_way() > 0) {
        reap();
    }
}

FrameHeader TargetWorker::receive_header(std::stop_token stop) {
    const Stopwatch waiting(session_.counters.net_ns);
    std::array<std::byte, header_size> bytes;
    channel_.receive(bytes, stop);
    return decode(bytes);
}

void TargetWorker::receive_payload(std::span<std::byte> into, std::stop_token stop) {
    const Stopwatch waiting(session_.counters.net_ns);
    channel_.receive(into, stop);
}

/// What this version does not know, if its sender can do without an answer.
void TargetWorker::skip(const FrameHeader& header, std::stop_token stop) {
    if (is_known(header.type) || !header.ignorable()) {
        throw protocol_error(fmt::format("{} on a data connection", frame_name(header.type)));
    }
    check_control_frame(header);
    std::vector<std::byte> payload(header.wire_length);
    receive_payload(payload, stop);
}

void TargetWorker::claim(Range range) {
    if (range.end() > session_.told_until) {
        throw protocol_error(
            fmt::format("the block at {} came before the HASHES for it", range.offset));
    }
    const std::uint32_t size = session_.geometry.block_size;
    for (std::uint64_t offset = range.offset; offset < range.end(); offset += size) {
        if (!session_.arrivals.insert(offset / size)) {
            throw protocol_error(fmt::format("the block at {} came twice", offset));
        }
    }
}

void TargetWorker::take_zeros(const FrameHeader& header, std::stop_token stop) {
    claim(header.range());
    const Geometry& geometry = session_.geometry;
    const Leaf whole = zero_leaf(geometry.block_size);
    for (std::uint64_t offset = header.offset; offset < header.range().end();
         offset += geometry.block_size) {
        const std::uint32_t length = geometry.length_at(offset);
        session_.leaves[offset / geometry.block_size] =
            length == geometry.block_size ? whole : zero_leaf(length);
    }
    for (std::uint64_t done = 0; done < header.raw_length;) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        const Stopwatch writing(session_.counters.io_ns);
        const std::uint64_t length = std::min(header.raw_length - done, zeroed_at_once);
        session_.disk.zero(header.offset + done, length);
        done += length;
    }
    session_.counters.bytes_zero += header.raw_length;
    session_.written(header.range());
}

void TargetWorker::take_same(const FrameHeader& header) {
    claim(header.range());
    const std::uint32_t size = session_.geometry.block_size;
    for (std::uint64_t offset = header.offset; offset < header.range().end(); offset += size) {
        if (!session_.known.contains(offset / size)) {
            throw protocol_error(
                fmt::format("SAME for the block at {}, which is not here", offset));
        }
    }
    session_.counters.bytes_same += header.raw_length;
    session_.written(header.range());
}

void TargetWorker::take_data(const FrameHeader& header, std::stop_token stop) {
    const std::span<std::byte> block = room_for(header);
    if (header.codec == Codec::store) {
        receive_payload(block, stop);
    } else {
        const std::span<std::byte> packed = packed_.first(header.wire_length);
        receive_payload(packed, stop);
        if (!unpacker_.unpack(packed, block)) {
            throw damaged(header);
        }
    }
    if (hash_block(block) != header.hash) {
        throw damaged(header);
    }
    Slots::Slot& slot = slots_[*filling_];
    slot.range.length += header.raw_length;
    // The source's pieces end there: nothing more is to be expected behind.
    if (slot.range.length == slot.buffer.size() ||
        slot.range.end() % piece_length(session_.geometry) == 0) {
        write_run();
    }
}

void TargetWorker::count_data(const FrameHeader& header, std::uint64_t bytes) {
    session_.counters.bytes_sent += bytes;
    session_.counters.bytes_same += header.raw_length - bytes;
    ++session_.counters.blocks_sent;
}

void TargetWorker::receive_parts(const FrameHeader& header, const PartsHead& head,
                                 std::stop_token stop) {
    gathered_.resize(head.content_length(header.raw_length));
    const auto length =
        static_cast<std::size_t>(header.wire_length - parts_head_size(header.raw_length));
    const bool stored = header.codec == Codec::store;
    if (stored ? length != gathered_.size() : length >= gathered_.size()) {
        throw protocol_error(
            fmt::format("PARTS at {} with {} bytes of content, for parts of {} bytes",
                        header.offset, length, gathered_.size()));
    }
    if (stored) {
        receive_payload(gathered_, stop);
        return;
    }
    const std::span<std::byte> packed = packed_.first(length);
    receive_payload(packed, stop);
    if (!unpacker_.unpack(packed, gathered_)) {
        throw damaged(header);
    }
}

/// What becomes of the block is known without reading it: the unchanged parts are those that were
/// hashed when the source was told, the changed ones are here.
void TargetWorker::take_parts(const FrameHeader& header, std::stop_token stop) {
    std::vector<std::byte> head_bytes(parts_head_size(header.raw_length));
    receive_payload(head_bytes, stop);
    const PartsHead head = parse_parts_head(head_bytes, header.raw_length);
    receive_parts(header, head, stop);
    count_data(header, gathered_.size());

    std::vector<Leaf> hashes(head.changed.size());
    const std::uint64_t block = header.offset / session_.geometry.block_size;
    bool right = session_.parts && session_.parts->get(block, hashes);
    for (std::size_t i = 0, at = 0; right && i < hashes.size(); ++i) {
        if (head.changed[i]) {
            const auto length = static_cast<std::size_t>(part_range(i, header.raw_length).length);
            hashes[i] = hash_block(std::span(gathered_).subspan(at, length));
            at += length;
        }
    }
    right = right && digest_of(hashes) == head.digest;
    if (!right) {
        session_.want(header.range());
        return;
    }
    std::size_t at = 0;
    for (std::size_t i = 0; i < hashes.size();) {
        Range run = part_range(i, header.raw_length);
        std::size_t next = i + 1;
        for (; next < hashes.size() && head.changed[next] == head.changed[i]; ++next) {
            run.length += part_range(next, header.raw_length).length;
        }
        run.offset += header.offset;
        if (head.changed[i]) {
            const auto length = static_cast<std::size_t>(run.length);
            write_part(run, std::span(gathered_).subspan(at, length));
            at += length;
        } else {
            session_.written_in_parts(run.length);
        }
        i = next;
    }
}

void TargetWorker::write_part(Range range, std::span<const std::byte> bytes) {
    write_run();
    while (slots_.none_free()) {
        reap();
    }
    const unsigned number = slots_.take();
    slots_[number].range = range;
    slots_[number].in_parts = true;
    std::ranges::copy(bytes, slots_[number].buffer.begin());
    const Stopwatch writing(session_.counters.io_ns);
    queue_->write(number, range.offset, slots_[number].bytes());
}

std::span<std::byte> TargetWorker::room_for(const FrameHeader& header) {
    if (filling_ && slots_[*filling_].range.end() != header.offset) {
        write_run();
    }
    if (!filling_) {
        while (slots_.none_free()) {
            reap();
        }
        filling_ = slots_.take();
        slots_[*filling_].range = {header.offset, 0};
        slots_[*filling_].in_parts = false;
    }
    Slots::Slot& slot = slots_[*filling_];
    return slot.buffer.subspan(static_cast<std::size_t>(slot.range.length), header.raw_length);
}

void TargetWorker::write_run() {
    if (!filling_) {
        return;
    }
    Slots::Slot& slot = slots_[*filling_];
    const Stopwatch writing(session_.counters.io_ns);
    if (slot.range.length > 0) {
        queue_->write(*filling_, slot.range.offset, slot.bytes());
    } else {
        slots_.give_back(*filling_);
    }
    filling_.reset();
}

void TargetWorker::reap() {
    const DiskQueue::Done done = [&] {
        const Stopwatch writing(session_.counters.io_ns);
        return queue_->wait();
    }();
    if (done.error) {
        throw *done.error;
    }
    if (const Slots::Slot& slot = slots_[done.slot]; slot.in_parts) {
        session_.written_in_parts(slot.range.length);
    } else {
        session_.written(slot.range);
    }
    slots_.give_back(done.slot);
}

} // namespace coldspare::clone
