#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace coldspare::clone {

/// Pieces of memory, read from the front as if they were one.
class Pieces {
public:
    explicit Pieces(std::span<const std::span<const std::byte>> pieces) : pieces_(pieces) {
        for (const std::span<const std::byte> piece : pieces) {
            size_ += piece.size();
        }
        skip(0);
    }

    /// How many bytes are left.
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

    /// What is left of the first piece; not empty unless all is.
    [[nodiscard]] std::span<const std::byte> front() const {
        return empty() ? std::span<const std::byte>() : pieces_.front().subspan(offset_);
    }

    /// The pieces behind the first.
    [[nodiscard]] std::span<const std::span<const std::byte>> behind() const {
        return empty() ? pieces_ : pieces_.subspan(1);
    }

    /// Copies from the front until `into` is full or nothing is left; returns how many bytes.
    /// Takes nothing away.
    std::size_t copy(std::span<std::byte> into) const {
        std::size_t copied = 0;
        for (Pieces rest = *this; !rest.empty() && copied < into.size();) {
            const std::size_t count = std::min(rest.front().size(), into.size() - copied);
            std::memcpy(into.data() + copied, rest.front().data(), count);
            copied += count;
            rest.skip(count);
        }
        return copied;
    }

    /// Takes `count` bytes away; there must be so many.
    void skip(std::size_t count) {
        size_ -= count;
        offset_ += count;
        while (!pieces_.empty() && offset_ >= pieces_.front().size()) {
            offset_ -= pieces_.front().size();
            pieces_ = pieces_.subspan(1);
        }
    }

private:
    std::span<const std::span<const std::byte>> pieces_;
    std::size_t offset_ = 0; ///< in the first of them
    std::size_t size_ = 0;
};

} // namespace coldspare::clone
