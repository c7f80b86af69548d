#pragma once

#include "base/error.hpp"
#include "clone/buffer.hpp"
#include "clone/disk.hpp"
#include "tests/support/bytes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

/// What every Disk does, fake or real. A test file gives a way to make one and runs all of it.
namespace coldspare::clone {

/// Bytes that are different in every block and never zero.
inline void fill_pattern(std::span<std::byte> bytes, std::uint64_t offset) {
    std::byte* const to = bytes.data(); // no call per byte: nothing is inlined under the sanitizers
    for (std::size_t i = 0, count = bytes.size(); i < count; ++i) {
        const std::uint64_t at = offset + i;
        to[i] = static_cast<std::byte>(1 + (at * 131 + at / 4096) % 251);
    }
}

/// Makes a fresh disk of `size` bytes, all of them 0xEE, that can be read and written.
using DiskMaker = std::function<std::unique_ptr<Disk>(std::uint64_t size)>;

namespace conformance {

inline constexpr std::uint64_t mebibyte = 1 << 20;

inline std::vector<std::byte> read_back(Disk& disk, std::uint64_t offset, std::size_t length) {
    AlignedBuffer buffer(length);
    disk.read(offset, buffer.span());
    return {buffer.span().begin(), buffer.span().end()};
}

inline bool only(std::span<const std::byte> bytes, std::byte value) {
    // Each byte is the one before it; with no call per byte, as above.
    return bytes.empty() ||
           (bytes.front() == value && same_bytes(bytes.first(bytes.size() - 1), bytes.subspan(1)));
}

inline constexpr std::byte dirt{0xEE};

inline void size_is_told(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    CHECK(disk->facts().size == size);
    CHECK_FALSE(disk->facts().name.empty());
}

inline void what_was_written_is_read(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    const std::uint64_t offset = size > 8192 ? 4096 : 0;
    AlignedBuffer buffer(
        static_cast<std::size_t>(std::min<std::uint64_t>(size - offset, mebibyte)));
    fill_pattern(buffer.span(), offset);
    disk->write(offset, buffer.span());
    disk->flush();
    const std::vector<std::byte> back = read_back(*disk, offset, buffer.size());
    CHECK(same_bytes(back, buffer.span()));
}

inline void neighbours_are_left_alone(const DiskMaker& make, std::uint64_t size) {
    if (size < 3 * 4096) {
        return;
    }
    const std::unique_ptr<Disk> disk = make(size);
    AlignedBuffer buffer(4096);
    fill_pattern(buffer.span(), 4096);
    disk->write(4096, buffer.span());
    disk->flush();
    CHECK(only(read_back(*disk, 0, 4096), dirt));
    CHECK(only(read_back(*disk, 8192, 4096), dirt));
}

inline void tail_is_read_and_written(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    const std::uint64_t offset = (size - 1) / 65536 * 65536;
    AlignedBuffer buffer(static_cast<std::size_t>(size - offset));
    fill_pattern(buffer.span(), offset);
    disk->write(offset, buffer.span());
    disk->flush();
    CHECK(same_bytes(read_back(*disk, offset, buffer.size()), buffer.span()));
    CHECK(disk->facts().size == size);
}

inline void zeros_read_back_as_zeros(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    const std::uint64_t offset = size > 3 * mebibyte ? mebibyte : 0;
    disk->zero(offset, size - offset);
    disk->flush();
    for (std::uint64_t at = offset; at < size; at += mebibyte) {
        const auto length = static_cast<std::size_t>(std::min(mebibyte, size - at));
        CHECK(only(read_back(*disk, at, length), std::byte{0}));
    }
    if (offset > 0) {
        CHECK(only(read_back(*disk, 0, static_cast<std::size_t>(offset)), dirt));
    }
}

inline void zeros_over_data_and_data_over_zeros(const DiskMaker& make, std::uint64_t size) {
    if (size < 3 * 65536) {
        return;
    }
    const std::unique_ptr<Disk> disk = make(size);
    AlignedBuffer buffer(65536);
    fill_pattern(buffer.span(), 65536);
    disk->write(65536, buffer.span());
    disk->zero(0, 3 * 65536);
    CHECK(only(read_back(*disk, 65536, 65536), std::byte{0}));
    disk->write(65536, buffer.span());
    disk->flush();
    CHECK(same_bytes(read_back(*disk, 65536, 65536), buffer.span()));
}

/// What salvage() does around a bad spot, on both sides of every 4096th byte.
inline void sectors_are_read_alone(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    AlignedBuffer pattern(static_cast<std::size_t>(size));
    fill_pattern(pattern.span(), 0);
    disk->write(0, pattern.span());
    disk->flush();
    AlignedBuffer buffer(4 * 4096);
    const std::uint64_t first =
        size > buffer.size() ? (size - buffer.size() + 4095) / 4096 * 4096 : 0;
    for (const std::uint64_t length : {512U, 1024U, 4608U}) {
        for (std::uint64_t at = first; at < size; at += 512) {
            const std::uint64_t end = std::min(at + length, size);
            // In the place that it would have in the buffer of a piece.
            const std::span<std::byte> into = buffer.span().subspan(
                static_cast<std::size_t>(at - first), static_cast<std::size_t>(end - at));
            std::ranges::fill(buffer.span(), dirt);
            disk->read(at, into);
            CHECK(same_bytes(into,
                             pattern.span().subspan(static_cast<std::size_t>(at), into.size())));
        }
    }
}

inline void reading_past_the_end_is_an_error(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    AlignedBuffer buffer(65536);
    const std::uint64_t offset = size / 65536 * 65536;
    CHECK_THROWS_AS(disk->read(offset, buffer.span()), Error);
}

inline void threads_may_work_side_by_side(const DiskMaker& make, std::uint64_t size) {
    if (size < 4 * mebibyte) {
        return;
    }
    const std::unique_ptr<Disk> disk = make(size);
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t i = 0; i < 4; ++i) {
            threads.emplace_back([&disk, i] {
                AlignedBuffer buffer(65536);
                for (std::uint64_t at = i * mebibyte; at < (i + 1) * mebibyte; at += 65536) {
                    fill_pattern(buffer.span(), at);
                    disk->write(at, buffer.span());
                }
            });
        }
    }
    disk->flush();
    std::vector<std::byte> expected(4 * mebibyte);
    fill_pattern(expected, 0);
    CHECK(read_back(*disk, 0, expected.size()) == expected);
}

/// Takes one answer of `queue`, which must be of one of `slots`, and without an error.
inline void take_answer(DiskQueue& queue, std::vector<unsigned>& slots) {
    const unsigned before = queue.under_way();
    const DiskQueue::Done done = queue.wait();
    CHECK_FALSE(done.error.has_value());
    CHECK(queue.under_way() == before - 1);
    CHECK(std::erase(slots, done.slot) == 1);
}

inline void a_queue_reads_and_writes(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    constexpr std::size_t length = 65536;
    constexpr unsigned depth = 3;
    std::vector<AlignedBuffer> buffers;
    for (unsigned i = 0; i < depth; ++i) {
        buffers.emplace_back(length);
    }
    const std::unique_ptr<DiskQueue> queue = disk->open_queue(depth);
    CHECK(queue->under_way() == 0);
    const auto piece = [&](std::uint64_t at) {
        return static_cast<std::size_t>(std::min<std::uint64_t>(length, size - at));
    };
    // From the back to the front, so that the tail is not the last.
    const std::uint64_t pieces = (size + length - 1) / length;
    for (std::uint64_t done = 0; done < pieces;) {
        std::vector<unsigned> slots;
        for (; slots.size() < depth && done < pieces; ++done) {
            const auto slot = static_cast<unsigned>(slots.size());
            const std::uint64_t at = (pieces - 1 - done) * length;
            fill_pattern(buffers[slot].first(piece(at)), at);
            queue->write(slot, at, buffers[slot].first(piece(at)));
            slots.push_back(slot);
            CHECK(queue->under_way() == slots.size());
        }
        while (!slots.empty()) {
            take_answer(*queue, slots);
        }
    }
    disk->flush();
    for (std::uint64_t at = 0; at < size; at += length) {
        std::vector<unsigned> slots{1};
        std::ranges::fill(buffers[1].span(), dirt);
        queue->read(1, at, buffers[1].first(piece(at)));
        take_answer(*queue, slots);
        std::vector<std::byte> expected(piece(at));
        fill_pattern(expected, at);
        CHECK(same_bytes(expected, buffers[1].first(piece(at))));
        CHECK(read_back(*disk, at, piece(at)) == expected);
    }
}

inline void a_queue_fails_in_the_words_of_the_disk(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    AlignedBuffer buffer(65536);
    const std::uint64_t offset = size / 65536 * 65536;
    std::string expected;
    try {
        disk->read(offset, buffer.span());
    } catch (const Error& error) {
        expected = error.message();
    }
    const std::unique_ptr<DiskQueue> queue = disk->open_queue(2);
    queue->read(1, offset, buffer.span());
    const DiskQueue::Done done = queue->wait();
    CHECK(done.slot == 1);
    REQUIRE(done.error.has_value());
    CHECK(done.error->message() == expected);
    CHECK(queue->under_way() == 0);
}

inline void a_queue_may_end_with_reads_under_way(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    AlignedBuffer buffer(4096);
    const std::unique_ptr<DiskQueue> queue = disk->open_queue(2);
    queue->read(0, 0, buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(size, 4096))));
    CHECK(queue->under_way() == 1);
}

inline void extents_cover_the_disk(const DiskMaker& make, std::uint64_t size) {
    const std::unique_ptr<Disk> disk = make(size);
    if (size > 3 * mebibyte) {
        disk->zero(mebibyte, mebibyte);
    }
    std::uint64_t at = 0;
    while (at < size) {
        const Extent extent = disk->extent_at(at);
        REQUIRE(extent.length > 0);
        REQUIRE(extent.length <= size - at);
        if (extent.zero) {
            CHECK(
                only(read_back(*disk, at, static_cast<std::size_t>(extent.length)), std::byte{0}));
        }
        at += extent.length;
    }
    CHECK(at == size);
    CHECK_FALSE(disk->extent_at(size - 1).zero);
}

} // namespace conformance

/// Sizes: one byte, an odd one below a block, whole, odd tails of both kinds.
inline void require_disk_conformance(const DiskMaker& make,
                                     std::initializer_list<std::uint64_t> sizes = {
                                         1, 511, 4096, 1 << 20, (5 << 20) + 3, (5 << 20) + 512}) {
    for (const std::uint64_t size : sizes) {
        CAPTURE(size);
        conformance::size_is_told(make, size);
        conformance::what_was_written_is_read(make, size);
        conformance::neighbours_are_left_alone(make, size);
        conformance::tail_is_read_and_written(make, size);
        conformance::zeros_read_back_as_zeros(make, size);
        conformance::zeros_over_data_and_data_over_zeros(make, size);
        conformance::sectors_are_read_alone(make, size);
        conformance::reading_past_the_end_is_an_error(make, size);
        conformance::threads_may_work_side_by_side(make, size);
        conformance::a_queue_reads_and_writes(make, size);
        conformance::a_queue_fails_in_the_words_of_the_disk(make, size);
        conformance::a_queue_may_end_with_reads_under_way(make, size);
        conformance::extents_cover_the_disk(make, size);
    }
}

} // namespace coldspare::clone
