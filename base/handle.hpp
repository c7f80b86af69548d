#pragma once

#include <memory>
#include <unistd.h>
#include <utility>

namespace coldspare {

/// Owns a file descriptor. Closing never fails aloud: what must be durable is synced before.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset(std::exchange(other.fd_, -1));
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset(int fd = -1) noexcept {
        if (fd_ >= 0) {
            ::close(fd_);
        }
        fd_ = fd;
    }

private:
    int fd_ = -1;
};

/// A deleter that calls `free_fn`, so that a Handle is as large as the pointer it owns.
template <auto free_fn>
struct FreeWith {
    template <typename T>
    void operator()(T* object) const noexcept {
        static_cast<void>(free_fn(object));
    }
};

/// Owns an object of a C library: `Handle<SSL, SSL_free>`.
template <typename T, auto free_fn>
using Handle = std::unique_ptr<T, FreeWith<free_fn>>;

} // namespace coldspare
