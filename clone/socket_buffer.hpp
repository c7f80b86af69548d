#pragma once

#include "clone/buffer.hpp"

#include <cstddef>
#include <span>

namespace coldspare::clone {

/// Bytes on their way between TLS and its socket: TLS makes and takes records of 16 KiB, and a call
/// of the system for each of them would cost more than the encryption. Never blocks longer than the
/// socket's own timeouts.
class SocketBuffer {
public:
    /// `fd` must live longer.
    explicit SocketBuffer(int fd) : fd_(fd) {}

    /// How many bytes put() takes at once.
    [[nodiscard]] std::size_t room() const { return out_.size() - out_end_; }
    [[nodiscard]] std::size_t unsent() const { return out_end_ - out_begin_; }
    /// Keeps as many of `bytes` as there is room for, to be sent later; returns how many.
    std::size_t put(std::span<const std::byte> bytes);
    /// One attempt to send what is unsent. False if the connection is broken.
    bool flush_some();

    /// Takes what came, as far as it fits; asks the system once if nothing is here. 0: nothing yet,
    /// or the end, or an error.
    std::size_t take(std::span<std::byte> into);
    /// Whether take() has something without asking the system.
    [[nodiscard]] bool pending() const { return in_begin_ != in_end_; }

    /// Whether the peer has closed its side.
    [[nodiscard]] bool ended() const { return ended_; }
    /// Why the connection broke (errno(3)), or 0.
    [[nodiscard]] int error() const { return error_; }

private:
    // What fits in a core's own cache together with the disk's block.
    static constexpr std::size_t size = 256 * 1024;

    int fd_;
    AlignedBuffer out_{size};
    AlignedBuffer in_{size};
    std::size_t out_begin_ = 0;
    std::size_t out_end_ = 0;
    std::size_t in_begin_ = 0;
    std::size_t in_end_ = 0;
    bool ended_ = false;
    int error_ = 0;
};

} // namespace coldspare::clone
