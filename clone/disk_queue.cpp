#include "clone/disk_queue.hpp"

#include "clone/buffer.hpp"
#include "clone/disk.hpp"

#include <cassert>
#include <cerrno>
#include <liburing.h>
#include <utility>
#include <vector>

namespace coldspare::clone {

void SynchronousQueue::read(unsigned slot, std::uint64_t offset, std::span<std::byte> into) {
    Done done{.slot = slot};
    try {
        disk_.read(offset, into);
    } catch (const Error& error) {
        done.error = error;
    }
    done_.push_back(std::move(done));
}

void SynchronousQueue::write(unsigned slot, std::uint64_t offset,
                             std::span<const std::byte> bytes) {
    Done done{.slot = slot};
    try {
        disk_.write(offset, bytes);
    } catch (const Error& error) {
        done.error = error;
    }
    done_.push_back(std::move(done));
}

DiskQueue::Done SynchronousQueue::wait() {
    assert(!done_.empty());
    Done done = std::move(done_.front());
    done_.pop_front();
    return done;
}

unsigned SynchronousQueue::under_way() const {
    return static_cast<unsigned>(done_.size());
}

namespace {

class UringQueue : public DiskQueue {
public:
    UringQueue(const io_uring& ring, int fd, unsigned depth, Disk& disk, FailureText failure)
        : ring_(ring), fd_(fd), slots_(depth), at_once_(disk), failure_(std::move(failure)) {}

    ~UringQueue() override {
        while (submitted_ > 0) {
            static_cast<void>(reap());
        }
        io_uring_queue_exit(&ring_);
    }
    UringQueue(const UringQueue&) = delete;
    UringQueue& operator=(const UringQueue&) = delete;

    void read(unsigned slot, std::uint64_t offset, std::span<std::byte> into) override {
        if (!aligned(offset, into.size())) {
            at_once_.read(slot, offset, into);
            return;
        }
        io_uring_sqe* entry = prepare({Transfer::read, offset, into, {}}, slot);
        io_uring_prep_read(entry, fd_, into.data(), static_cast<unsigned>(into.size()), offset);
        submit(entry, slot);
    }

    void write(unsigned slot, std::uint64_t offset, std::span<const std::byte> bytes) override {
        if (!aligned(offset, bytes.size())) {
            at_once_.write(slot, offset, bytes);
            return;
        }
        io_uring_sqe* entry = prepare({Transfer::write, offset, {}, bytes}, slot);
        io_uring_prep_write(entry, fd_, bytes.data(), static_cast<unsigned>(bytes.size()), offset);
        submit(entry, slot);
    }

    [[nodiscard]] Done wait() override {
        return at_once_.under_way() > 0 ? at_once_.wait() : reap();
    }

    [[nodiscard]] unsigned under_way() const override { return submitted_ + at_once_.under_way(); }

private:
    struct Slot {
        Transfer transfer = Transfer::read;
        std::uint64_t offset = 0;
        std::span<std::byte> into;        ///< of a read
        std::span<const std::byte> bytes; ///< of a write

        [[nodiscard]] std::size_t length() const { return into.size() + bytes.size(); }
    };

    static bool aligned(std::uint64_t offset, std::size_t length) {
        return offset % io_alignment == 0 && length % io_alignment == 0;
    }

    io_uring_sqe* prepare(const Slot& asked, unsigned slot) {
        slots_.at(slot) = asked;
        io_uring_sqe* entry = io_uring_get_sqe(&ring_);
        assert(entry != nullptr); // As many entries as slots, and each is submitted at once.
        return entry;
    }

    void submit(io_uring_sqe* entry, unsigned slot) {
        io_uring_sqe_set_data64(entry, slot);
        int submitted = 0;
        do {
            submitted = io_uring_submit(&ring_);
        } while (submitted == -EINTR || submitted == -EAGAIN);
        if (submitted < 0) {
            throw failure_(slots_[slot].transfer, slots_[slot].offset, -submitted);
        }
        ++submitted_;
    }

    Done reap() {
        io_uring_cqe* completion = nullptr;
        int waited = 0;
        do {
            waited = io_uring_wait_cqe(&ring_, &completion);
        } while (waited == -EINTR || waited == -EAGAIN);
        assert(waited == 0);
        const auto slot = static_cast<unsigned>(io_uring_cqe_get_data64(completion));
        const int result = completion->res;
        io_uring_cqe_seen(&ring_, completion);
        --submitted_;
        Done done{.slot = slot};
        const Slot& asked = slots_[slot];
        if (result < 0) {
            done.error = failure_(asked.transfer, asked.offset, -result);
        } else if (static_cast<std::size_t>(result) != asked.length()) {
            return again(asked, slot);
        }
        return done;
    }

    /// After a short transfer: the disk's own way carries on behind it, or knows why it cannot (the
    /// file system is full, the file was cut off).
    Done again(const Slot& asked, unsigned slot) {
        if (asked.transfer == Transfer::read) {
            at_once_.read(slot, asked.offset, asked.into);
        } else {
            at_once_.write(slot, asked.offset, asked.bytes);
        }
        return at_once_.wait();
    }

    io_uring ring_;
    int fd_;
    std::vector<Slot> slots_;
    SynchronousQueue at_once_;
    FailureText failure_;
    unsigned submitted_ = 0;
};

} // namespace

std::unique_ptr<DiskQueue> make_uring_queue(int fd, unsigned depth, Disk& disk,
                                            FailureText failure) {
    io_uring ring{};
    if (io_uring_queue_init(depth, &ring, 0) != 0) {
        return nullptr;
    }
    return std::make_unique<UringQueue>(ring, fd, depth, disk, std::move(failure));
}

} // namespace coldspare::clone
