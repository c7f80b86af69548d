#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace coldspare::clone {

class Disk;

/// Several reads and writes of one disk under way at once, for one worker: the disk works while the
/// worker hashes, packs and sends. Each has a slot, a number below the queue's depth that is free
/// again when wait() has returned it. Buffers, offsets and lengths as for Disk; a buffer must stay
/// until its slot has come back. One thread at a time; the destructor waits for what is under way.
class DiskQueue {
public:
    virtual ~DiskQueue() = default;

    virtual void read(unsigned slot, std::uint64_t offset, std::span<std::byte> into) = 0;
    virtual void write(unsigned slot, std::uint64_t offset, std::span<const std::byte> bytes) = 0;

    struct Done {
        unsigned slot = 0;
        std::optional<Error> error; ///< in the words of Disk::read() and Disk::write()
    };
    /// Blocks until one has ended, in any order. Something must be under way.
    [[nodiscard]] virtual Done wait() = 0;

    /// How many are under way or not yet returned by wait().
    [[nodiscard]] virtual unsigned under_way() const = 0;
};

/// A queue that does each read and write at once, by the disk's own.
class SynchronousQueue : public DiskQueue {
public:
    explicit SynchronousQueue(Disk& disk) : disk_(disk) {}

    void read(unsigned slot, std::uint64_t offset, std::span<std::byte> into) override;
    void write(unsigned slot, std::uint64_t offset, std::span<const std::byte> bytes) override;
    [[nodiscard]] Done wait() override;
    [[nodiscard]] unsigned under_way() const override;

private:
    Disk& disk_;
    std::deque<Done> done_;
};

/// The Error for an I/O of `disk` at `offset` that failed with an errno.
enum class Transfer { read, write };
using FailureText = std::function<Error(Transfer, std::uint64_t offset, int error)>;

/// A queue on `fd`, which is open for direct I/O, through io_uring(7); what is not aligned (the odd
/// tail of an image) is done at once by `disk`. Nothing where the kernel does not offer io_uring
/// (sysctl kernel.io_uring_disabled, a container's seccomp filter).
[[nodiscard]] std::unique_ptr<DiskQueue> make_uring_queue(int fd, unsigned depth, Disk& disk,
                                                          FailureText failure);

} // namespace coldspare::clone
