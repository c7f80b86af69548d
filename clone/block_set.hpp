#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace coldspare::clone {

/// A set of blocks, one bit each. Threads may work on it side by side; who sees a block in it also
/// sees what was written before it was put in.
class BlockSet {
public:
    explicit BlockSet(std::uint64_t blocks) : blocks_(blocks), words_(blocks / 64 + 1) {}

    /// False if it was there before.
    bool insert(std::uint64_t block) {
        const std::uint64_t bit = std::uint64_t{1} << (block % 64);
        const bool first = (words_[block / 64].fetch_or(bit, std::memory_order_acq_rel) & bit) == 0;
        if (first) {
            count_.fetch_add(1, std::memory_order_relaxed);
        }
        return first;
    }
    [[nodiscard]] bool contains(std::uint64_t block) const {
        return (words_[block / 64].load(std::memory_order_acquire) >> (block % 64) & 1U) != 0;
    }
    [[nodiscard]] std::uint64_t missing() const { return blocks_ - count_; }

private:
    std::uint64_t blocks_;
    std::vector<std::atomic<std::uint64_t>> words_;
    std::atomic<std::uint64_t> count_{0};
};

} // namespace coldspare::clone
