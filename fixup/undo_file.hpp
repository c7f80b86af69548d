#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// Bytes of a disk.
struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    [[nodiscard]] std::uint64_t end() const { return offset + length; }
    friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// What a disk had where a fix in place has changed it (docs/FORMATS.md): enough to make it again
/// what the clone left, whatever interrupts the change.
struct UndoFile {
    std::uint64_t disk_size = 0;
    std::string root;                 ///< of the clone that it belongs to, or empty
    std::vector<ByteRange> ranges;    ///< sorted, apart from each other
    std::uint64_t content_offset = 0; ///< where the bytes begin, range after range
    friend bool operator==(const UndoFile&, const UndoFile&) = default;
};

/// The header of an undo file of `file_size` bytes, from its beginning. Throws Error for anything
/// but a whole one: ranges beyond the disk, out of order, more than a million, or bytes missing.
[[nodiscard]] UndoFile parse_undo_header(std::string_view head, std::uint64_t file_size);

/// Saves these ranges of the disk in a file that has its name only when it is whole and durable.
/// Throws Error.
void write_undo_file(const std::filesystem::path& path, const std::filesystem::path& disk,
                     const std::string& root, std::span<const ByteRange> ranges);

/// Reads the header of one. Throws Error that names it.
[[nodiscard]] UndoFile read_undo_file(const std::filesystem::path& path);

/// Writes the saved bytes back and flushes the disk. Doing it twice does no harm. Throws Error,
/// refused if the disk has another size now.
void put_back(const std::filesystem::path& path, const std::filesystem::path& disk);

/// A sum over what the disk has in these ranges now (FNV-1a, 64 bits): shows that somebody wrote,
/// and protects from nobody who means harm.
[[nodiscard]] std::uint64_t sum_of(const std::filesystem::path& disk,
                                   std::span<const ByteRange> ranges);
/// The sum over the saved bytes.
[[nodiscard]] std::uint64_t saved_sum(const std::filesystem::path& path);

} // namespace coldspare::fixup
