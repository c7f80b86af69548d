#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <sys/mman.h>

namespace coldspare::clone {

/// Alignment of buffers, offsets and lengths that direct I/O on any disk accepts.
inline constexpr std::size_t io_alignment = 4096;

/// Memory for direct I/O, aligned to io_alignment. Not initialised. From 2 MiB on it lies in huge
/// pages where the system has them: a transfer of 1 MiB is one segment then instead of 256, and
/// more than a disk takes at once need not be split (docs/PERFORMANCE.md).
class AlignedBuffer {
public:
    explicit AlignedBuffer(std::size_t size)
        : bytes_(allocate(size), Free{alignment_of(size)}), size_(size) {}

    [[nodiscard]] std::span<std::byte> span() { return {bytes_.get(), size_}; }
    [[nodiscard]] std::span<std::byte> first(std::size_t count) { return span().first(count); }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    static constexpr std::size_t huge_page = 2 << 20;

    static std::align_val_t alignment_of(std::size_t size) {
        return std::align_val_t{size >= huge_page ? huge_page : io_alignment};
    }
    static std::byte* allocate(std::size_t size) {
        auto* bytes = static_cast<std::byte*>(::operator new(size, alignment_of(size)));
        if (size >= huge_page) {
            ::madvise(bytes, size, MADV_HUGEPAGE); // Advice: without it all is only slower.
        }
        return bytes;
    }
    struct Free {
        std::align_val_t alignment;
        void operator()(std::byte* bytes) const { ::operator delete(bytes, alignment); }
    };
    std::unique_ptr<std::byte, Free> bytes_;
    std::size_t size_;
};

} // namespace coldspare::clone
