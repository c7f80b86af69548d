#pragma once

#include "base/error.hpp"
#include "clone/disk.hpp"
#include "clone/io_sizes.hpp"
#include "clone/range.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <mutex>
#include <utility>
#include <vector>

namespace coldspare::clone {

/// A disk in memory, with a book of what was done to it. Passes disk_conformance.hpp.
class MemoryDisk : public Disk {
public:
    explicit MemoryDisk(std::vector<std::byte> content, std::string name = "memory")
        : content_(std::move(content)) {
        facts_.name = std::move(name);
        facts_.size = content_.size();
    }
    MemoryDisk(std::size_t size, std::byte fill, std::string name = "memory")
        : MemoryDisk(std::vector<std::byte>(size, fill), std::move(name)) {}

    [[nodiscard]] const DiskFacts& facts() const override { return facts_; }
    [[nodiscard]] DiskFacts& facts() { return facts_; }

    void read(std::uint64_t offset, std::span<std::byte> into) override {
        const std::scoped_lock lock(mutex_);
        require_inside("reading", {offset, into.size()});
        std::memcpy(into.data(), content_.data() + offset, into.size());
        reads_.push_back({offset, into.size()});
    }

    void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
        const std::scoped_lock lock(mutex_);
        require_inside("writing", {offset, bytes.size()});
        std::memcpy(content_.data() + offset, bytes.data(), bytes.size());
        writes_.push_back({offset, bytes.size()});
        flushed_ = false;
    }

    void zero(std::uint64_t offset, std::uint64_t length) override {
        const std::scoped_lock lock(mutex_);
        require_inside("zeroing", {offset, length});
        std::memset(content_.data() + offset, 0, length);
        zeros_.push_back({offset, length});
        flushed_ = false;
    }

    void flush() override {
        const std::scoped_lock lock(mutex_);
        flushed_ = true;
        medium_ = writes_;
        medium_.insert(medium_.end(), zeros_.begin(), zeros_.end());
    }

    [[nodiscard]] Extent extent_at(std::uint64_t offset) override {
        std::uint64_t end = facts_.size;
        for (const Range& hole : holes_) {
            if (offset >= hole.offset && offset < hole.end()) {
                return {hole.end() - offset, true};
            }
            if (hole.offset > offset) {
                end = std::min(end, hole.offset);
            }
        }
        return {end - offset, false};
    }
    /// What extent_at() tells as holes; the content there should be zeros.
    [[nodiscard]] std::vector<Range>& holes() { return holes_; }

    // What the test asks when all threads are done.
    [[nodiscard]] const std::vector<std::byte>& content() const { return content_; }
    [[nodiscard]] std::vector<std::byte>& content() { return content_; }
    [[nodiscard]] const std::vector<Range>& reads() const { return reads_; }
    [[nodiscard]] const std::vector<Range>& writes() const { return writes_; }
    [[nodiscard]] const std::vector<Range>& zeros() const { return zeros_; }
    /// Whether nothing was written since the last flush.
    [[nodiscard]] bool flushed() const { return flushed_; }
    /// Whether all of these bytes were written before the last flush, or lie in `as_well`. Any
    /// thread may ask.
    [[nodiscard]] bool on_medium(Range range, std::vector<Range> as_well) {
        const std::scoped_lock lock(mutex_);
        as_well.insert(as_well.end(), medium_.begin(), medium_.end());
        return std::ranges::any_of(joined(std::move(as_well)), [range](const Range& there) {
            return there.offset <= range.offset && range.end() <= there.end();
        });
    }
    [[nodiscard]] bool untouched() const { return writes_.empty() && zeros_.empty(); }

private:
    void require_inside(std::string_view action, Range range) const {
        if (!inside(range, content_.size())) {
            throw Error(fmt::format("{} '{}' at {}: the disk ends early", action, facts_.name,
                                    range.offset));
        }
    }

    DiskFacts facts_;
    std::mutex mutex_;
    std::vector<std::byte> content_;
    std::vector<Range> reads_;
    std::vector<Range> writes_;
    std::vector<Range> zeros_;
    std::vector<Range> medium_; ///< written or zeroed before the last flush
    std::vector<Range> holes_;
    bool flushed_ = false;
};

} // namespace coldspare::clone
