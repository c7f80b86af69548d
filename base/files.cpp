#include "base/files.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>

namespace coldspare {

namespace fs = std::filesystem;

Fd open_file(const fs::path& path, int flags, mode_t mode) {
    Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) {
        throw system_error(fmt::format("cannot open '{}'", path.string()), errno);
    }
    return fd;
}

std::string read_file(const fs::path& path, std::size_t limit) {
    const Fd fd = open_file(path, O_RDONLY);
    std::string content;
    std::array<char, 65536> chunk;
    for (;;) {
        const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error(fmt::format("cannot read '{}'", path.string()), errno);
        }
        if (got == 0) {
            return content;
        }
        if (content.size() + static_cast<std::size_t>(got) > limit) {
            throw Error(fmt::format("'{}' is larger than the {} bytes that are read of such a file",
                                    path.string(), limit));
        }
        content.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

std::size_t read_at(int fd, std::uint64_t offset, std::span<std::byte> into) {
    std::size_t done = 0;
    while (done < into.size()) {
        const ssize_t got =
            ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error("cannot read", errno);
        }
        if (got == 0) {
            break;
        }
        done += static_cast<std::size_t>(got);
    }
    return done;
}

void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t put = ::pwrite(fd, bytes.data() + done, bytes.size() - done,
                                     static_cast<off_t>(offset + done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            throw system_error("cannot write", put == 0 ? ENOSPC : errno);
        }
        done += static_cast<std::size_t>(put);
    }
}

void write_all(int fd, std::span<const std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t put = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            throw system_error("cannot write", put == 0 ? ENOSPC : errno);
        }
        done += static_cast<std::size_t>(put);
    }
}

void sync_parent_directory(const fs::path& path) {
    const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const Fd directory = open_file(parent, O_RDONLY | O_DIRECTORY);
    if (::fsync(directory.get()) != 0) {
        throw system_error(fmt::format("cannot sync the directory '{}'", parent.string()), errno);
    }
}

void write_file_atomically(const fs::path& path, std::string_view content, mode_t mode) {
    write_file_atomically(path, std::span(&content, 1), mode);
}

void write_file_atomically(const fs::path& path, std::span<const std::string_view> pieces,
                           mode_t mode) {
    std::string temporary = path.string() + ".XXXXXX";
    Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) {
        throw system_error(fmt::format("cannot create a file beside '{}'", path.string()), errno);
    }
    try {
        for (const std::string_view piece : pieces) {
            write_all(fd.get(), as_byte_span(piece));
        }
        if (::fchmod(fd.get(), mode) != 0) {
            throw system_error("cannot set the mode", errno);
        }
        if (::fsync(fd.get()) != 0) {
            throw system_error("cannot sync", errno);
        }
        fd.reset();
        if (::rename(temporary.c_str(), path.c_str()) != 0) {
            throw system_error("cannot rename into place", errno);
        }
        sync_parent_directory(path);
    } catch (Error& error) {
        ::unlink(temporary.c_str());
        error.prepend(fmt::format("writing '{}'", path.string()));
        throw;
    }
}

void make_parent_directories(const std::filesystem::path& path, std::string hint) {
    if (!path.has_parent_path()) {
        return;
    }
    std::error_code failed;
    std::filesystem::create_directories(path.parent_path(), failed);
    if (failed) {
        throw Error(fmt::format("cannot make the directory '{}': {}", path.parent_path().string(),
                                failed.message()),
                    std::move(hint));
    }
}

bool remove_file_durably(const fs::path& path) {
    if (::unlink(path.c_str()) != 0) {
        if (errno == ENOENT) {
            return false;
        }
        throw system_error(fmt::format("cannot remove '{}'", path.string()), errno);
    }
    sync_parent_directory(path);
    return true;
}

} // namespace coldspare
