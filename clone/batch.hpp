#pragma once

#include "clone/wire.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace coldspare::clone {

/// Frames on their way to one send: headers of its own, payloads where they lie. A payload must
/// stay until clear().
class Batch {
public:
    Batch() {
        headers_.reserve(capacity);
        pieces_.reserve(2 * capacity);
    }

    void add(const FrameHeader& header, std::span<const std::byte> payload = {}) {
        pieces_.emplace_back(headers_.emplace_back(encode(header)));
        if (!payload.empty()) {
            pieces_.push_back(payload);
        }
        size_ += header_size + payload.size();
    }
    void clear() {
        size_ = 0;
        headers_.clear();
        pieces_.clear();
    }
    /// Only a few more may be added before clear(): sendmsg(2) takes 1024 pieces.
    [[nodiscard]] bool full() const { return headers_.size() + 4 > capacity; }
    /// Bytes of all frames.
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return headers_.empty(); }
    [[nodiscard]] std::span<const std::span<const std::byte>> pieces() const { return pieces_; }

private:
    static constexpr std::size_t capacity = 512;

    std::vector<std::array<std::byte, header_size>> headers_; ///< never reallocated
    std::vector<std::span<const std::byte>> pieces_;
    std::size_t size_ = 0;
};

} // namespace coldspare::clone
