#pragma once

#include "base/error.hpp"
#include "clone/disk.hpp"
#include "clone/range.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fmt/format.h>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace coldspare::clone {

/// Where a FaultyDisk fails.
struct Faults {
    std::optional<std::uint64_t> read_at;  ///< every read that covers this byte fails
    std::optional<std::uint64_t> write_at; ///< every write and zeroing that covers this byte fails
    bool flush = false;
    std::vector<Range> unreadable;         ///< every read that touches one of them fails
    std::optional<std::uint64_t> wrong_at; ///< reads that cover this byte get another one there ...
    std::atomic<int>* wrong_times = nullptr;  ///< ... so many times, on all disks of the test
    std::atomic<int>* reads_left = nullptr;   ///< after so many reads none succeeds any more
    std::atomic<int>* flushes_left = nullptr; ///< after so many flushes none succeeds any more
    std::function<void()>
        on_failed_read; ///< called before it fails: what takes time, takes it here
    std::function<void(Range)> before_read; ///< may wait for something
};

/// Another disk that fails where it is told to, in the words of the real one.
class FaultyDisk : public Disk {
public:
    FaultyDisk(Disk& disk, Faults faults) : disk_(disk), faults_(faults) {}

    [[nodiscard]] const DiskFacts& facts() const override { return disk_.facts(); }

    void read(std::uint64_t offset, std::span<std::byte> into) override {
        const Range range{offset, into.size()};
        if (faults_.before_read) {
            faults_.before_read(range);
        }
        if (is_unreadable(range) || used_up(faults_.reads_left)) {
            {
                const std::scoped_lock lock(mutex_);
                failed_reads_.push_back(range);
            }
            if (faults_.on_failed_read) {
                faults_.on_failed_read();
            }
            // As a real one may: what is left in the buffer is worth nothing.
            std::ranges::fill(into, std::byte{0xBD});
            throw failure("reading", "cannot read", range);
        }
        disk_.read(offset, into);
        if (covers(faults_.wrong_at, range) && !used_up(faults_.wrong_times)) {
            into[static_cast<std::size_t>(*faults_.wrong_at - offset)] ^= std::byte{1};
        }
    }
    void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
        fail_if(faults_.write_at, "writing", "cannot write", {offset, bytes.size()});
        disk_.write(offset, bytes);
    }
    void zero(std::uint64_t offset, std::uint64_t length) override {
        fail_if(faults_.write_at, "zeroing", "cannot write", {offset, length});
        disk_.zero(offset, length);
    }
    void flush() override {
        if (faults_.flush || used_up(faults_.flushes_left)) {
            throw system_error(fmt::format("cannot flush '{}' to its medium", facts().name), EIO);
        }
        disk_.flush();
    }
    [[nodiscard]] Extent extent_at(std::uint64_t offset) override {
        return disk_.extent_at(offset);
    }

    /// For a fault that comes or goes; not while other threads use the disk.
    [[nodiscard]] Faults& faults() { return faults_; }
    /// The reads that failed, in order.
    [[nodiscard]] const std::vector<Range>& failed_reads() const { return failed_reads_; }

private:
    [[nodiscard]] static bool covers(std::optional<std::uint64_t> byte, Range range) {
        return byte && *byte >= range.offset && *byte < range.end();
    }
    /// Takes one; true if there was none left. Without a counter there is no end.
    [[nodiscard]] static bool used_up(std::atomic<int>* left) {
        return left != nullptr && left->fetch_sub(1) <= 0;
    }
    [[nodiscard]] bool is_unreadable(Range range) const {
        return covers(faults_.read_at, range) ||
               std::ranges::any_of(faults_.unreadable, [range](const Range& bad) {
                   return bad.offset < range.end() && range.offset < bad.end();
               });
    }
    void fail_if(std::optional<std::uint64_t> byte, std::string_view action,
                 std::string_view reason, Range range) const {
        if (covers(byte, range)) {
            throw failure(action, reason, range);
        }
    }
    [[nodiscard]] Error failure(std::string_view action, std::string_view reason,
                                Range range) const {
        return system_error(
            fmt::format("{} '{}' at {}: {}", action, facts().name, range.offset, reason), EIO);
    }

    Disk& disk_;
    Faults faults_;
    std::mutex mutex_;
    std::vector<Range> failed_reads_;
};

} // namespace coldspare::clone
