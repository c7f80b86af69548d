#include "clone/socket_buffer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace coldspare::clone {

std::size_t SocketBuffer::put(std::span<const std::byte> bytes) {
    const std::size_t count = std::min(bytes.size(), room());
    std::memcpy(out_.span().data() + out_end_, bytes.data(), count);
    out_end_ += count;
    return count;
}

bool SocketBuffer::flush_some() {
    if (unsent() == 0) {
        return error_ == 0;
    }
    const ssize_t sent = ::send(fd_, out_.span().data() + out_begin_, unsent(), MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            return true;
        }
        error_ = errno;
        return false;
    }
    out_begin_ += static_cast<std::size_t>(sent);
    if (unsent() == 0) {
        out_begin_ = 0;
        out_end_ = 0;
    }
    return true;
}

std::size_t SocketBuffer::take(std::span<std::byte> into) {
    if (!pending()) {
        const ssize_t got = ::recv(fd_, in_.span().data(), in_.size(), 0);
        if (got <= 0) {
            if (got == 0) {
                ended_ = true;
            } else if (errno != EAGAIN && errno != EINTR) {
                error_ = errno;
            }
            return 0;
        }
        in_begin_ = 0;
        in_end_ = static_cast<std::size_t>(got);
    }
    const std::size_t count = std::min(into.size(), in_end_ - in_begin_);
    std::memcpy(into.data(), in_.span().data() + in_begin_, count);
    in_begin_ += count;
    return count;
}

} // namespace coldspare::clone
