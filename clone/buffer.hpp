#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace coldspare::clone {

/// Alignment of buffers, offsets and lengths that direct I/O on any disk accepts.
inline constexpr std::size_t io_alignment = 4096;

/// Memory for direct I/O, aligned to io_alignment. Not initialised.
class AlignedBuffer {
public:
    explicit AlignedBuffer(std::size_t size)
        : bytes_(static_cast<std::byte*>(::operator new (size, std::align_val_t{io_alignment}))),
          size_(size) {}

    [[nodiscard]] std::span<std::byte> span() { return {bytes_.get(), size_}; }
    [[nodiscard]] std::span<std::byte> first(std::size_t count) { return span().first(count); }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    struct Free {
        void operator()(std::byte* bytes) const {
            ::operator delete (bytes, std::align_val_t{io_alignment});
        }
    };
    std::unique_ptr<std::byte, Free> bytes_;
    std::size_t size_;
};

} // namespace coldspare::clone
