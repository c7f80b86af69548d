#pragma once

#include "base/handle.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace coldspare {

/// Opens `path` with open(2) flags (O_CLOEXEC is added). Throws Error that names the path.
[[nodiscard]] Fd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0644);

/// The whole content of `path`. A file of more than `limit` bytes is an Error: nothing larger is
/// ever allocated. Works for files of unknown size (/proc, pipes).
[[nodiscard]] std::string read_file(const std::filesystem::path& path, std::size_t limit);

/// Reads exactly `into.size()` bytes at `offset`. Returns how many bytes there were: less than
/// asked only at the end of the file. EINTR and short reads are continued. Throws Error.
[[nodiscard]] std::size_t read_at(int fd, std::uint64_t offset, std::span<std::byte> into);

/// Writes all of `bytes` at `offset`. Throws Error (system_error) without naming the file: the
/// caller knows it.
void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes);

/// Writes all of `bytes` at the descriptor's position.
void write_all(int fd, std::span<const std::byte> bytes);

/// Replaces `path` by `content` so that a crash leaves the old file or the new one, whole: written
/// beside it, fsync, rename, fsync of the directory. Blocks until durable. Throws Error.
void write_file_atomically(const std::filesystem::path& path, std::string_view content,
                           mode_t mode = 0644);

/// The same for a content in several pieces, so that a large one need not be joined in memory.
void write_file_atomically(const std::filesystem::path& path,
                           std::span<const std::string_view> pieces, mode_t mode = 0644);

/// Makes the directory that will hold `path`, and those above it. Throws Error with `hint`.
void make_parent_directories(const std::filesystem::path& path, std::string hint);

/// Removes `path` durably (fsync of the directory). Returns whether there was one. Throws Error.
bool remove_file_durably(const std::filesystem::path& path);

/// fsync(2) of the directory that holds `path`. Throws Error.
void sync_parent_directory(const std::filesystem::path& path);

/// The bytes of `text`, and back.
[[nodiscard]] inline std::span<const std::byte> as_byte_span(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

} // namespace coldspare
