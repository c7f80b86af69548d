#include "fixup/undo_file.hpp"

#include "base/error.hpp"
#include "base/files.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace coldspare::fixup {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;

constexpr std::string_view magic = "COLDSPARE UNDO 1\n";
constexpr std::size_t most_ranges = 1'000'000;
constexpr std::size_t largest_head = std::size_t{64} << 20;
constexpr std::size_t piece = std::size_t{1} << 20;

std::uint64_t size_of(int fd, const fs::path& path) {
    const off_t end = ::lseek(fd, 0, SEEK_END); // of a device, too
    if (end < 0) {
        throw system_error(fmt::format("cannot look at '{}'", path.string()), errno);
    }
    return static_cast<std::uint64_t>(end);
}

/// Calls `use` with the bytes of the range, piece after piece.
template <typename Use>
void for_each_piece(int fd, const fs::path& path, ByteRange range, const Use& use) {
    std::vector<std::byte> buffer(
        static_cast<std::size_t>(std::min<std::uint64_t>(piece, range.length)));
    for (std::uint64_t done = 0; done < range.length;) {
        const std::span<std::byte> part = std::span(buffer).first(
            static_cast<std::size_t>(std::min<std::uint64_t>(piece, range.length - done)));
        if (read_at(fd, range.offset + done, part) != part.size()) {
            throw Error(fmt::format("'{}' ends before byte {}", path.string(), range.end()));
        }
        use(std::span<const std::byte>(part), range.offset + done);
        done += part.size();
    }
}

class Sum {
public:
    void add(std::span<const std::byte> bytes) {
        for (const std::byte byte : bytes) {
            value_ = (value_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001B3;
        }
    }
    [[nodiscard]] std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xCBF29CE484222325;
};

void flush(int fd, const fs::path& path) {
    if (::fsync(fd) != 0) {
        throw system_error(fmt::format("cannot make '{}' durable", path.string()), errno);
    }
}

} // namespace

UndoFile parse_undo_header(std::string_view head, std::uint64_t file_size) {
    const std::size_t end = head.find('\n', magic.size());
    if (!head.starts_with(magic) || end == std::string_view::npos) {
        throw Error("it is no undo file of this version");
    }
    const json object = json::parse(head.substr(magic.size(), end - magic.size()), nullptr, false);
    try {
        UndoFile undo{
            .disk_size = object.at("size"), .root = object.at("root"), .content_offset = end + 1};
        const json& ranges = object.at("ranges");
        if (!ranges.is_array() || ranges.size() > most_ranges) {
            throw Error(fmt::format("it has more than {} ranges", most_ranges));
        }
        std::uint64_t at = 0;
        std::uint64_t bytes = 0;
        for (const json& each : ranges) {
            const ByteRange range{each.at(0), each.at(1)};
            if (range.length == 0 || range.offset < at || range.offset > undo.disk_size ||
                range.length > undo.disk_size - range.offset) {
                throw Error("its ranges are out of order or beyond the disk");
            }
            at = range.end();
            bytes += range.length;
            undo.ranges.push_back(range);
        }
        if (file_size < undo.content_offset || file_size - undo.content_offset != bytes) {
            throw Error(fmt::format("it has {} bytes, and {} would be whole", file_size,
                                    undo.content_offset + bytes));
        }
        return undo;
    } catch (const json::exception& error) {
        throw Error(fmt::format("it cannot be understood: {}", error.what()));
    }
}

void write_undo_file(const fs::path& path, const fs::path& disk, const std::string& root,
                     std::span<const ByteRange> ranges) {
    const fs::path partial = path.string() + ".partial";
    const Fd from = open_file(disk, O_RDONLY);
    json list = json::array();
    for (const ByteRange& range : ranges) {
        list.push_back({range.offset, range.length});
    }
    const std::string head =
        std::string(magic) +
        json{{"size", size_of(from.get(), disk)}, {"root", root}, {"ranges", list}}.dump() + "\n";
    const Fd to = open_file(partial, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    try {
        write_all(to.get(), as_byte_span(head));
        for (const ByteRange& range : ranges) {
            for_each_piece(from.get(), disk, range,
                           [&](std::span<const std::byte> bytes, std::uint64_t) {
                               write_all(to.get(), bytes);
                           });
        }
    } catch (Error& error) {
        error.prepend(fmt::format("saving '{}' in '{}'", disk.string(), partial.string()));
        ::unlink(partial.c_str());
        throw;
    }
    flush(to.get(), partial);
    if (::rename(partial.c_str(), path.c_str()) != 0) {
        throw system_error(fmt::format("cannot rename '{}'", partial.string()), errno);
    }
    sync_parent_directory(path);
}

UndoFile read_undo_file(const fs::path& path) {
    const Fd fd = open_file(path, O_RDONLY);
    const std::uint64_t size = size_of(fd.get(), path);
    std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(size, largest_head)), '\0');
    static_cast<void>(read_at(fd.get(), 0, std::as_writable_bytes(std::span(head))));
    try {
        return parse_undo_header(head, size);
    } catch (Error& error) {
        error.prepend(fmt::format("reading '{}'", path.string()));
        throw;
    }
}

void put_back(const fs::path& path, const fs::path& disk) {
    const UndoFile undo = read_undo_file(path);
    const Fd from = open_file(path, O_RDONLY);
    const Fd to = open_file(disk, O_WRONLY);
    if (const std::uint64_t size = size_of(to.get(), disk); size != undo.disk_size) {
        throw refusal(fmt::format("put back what '{}' had: it has {} bytes now, and had {}",
                                  disk.string(), size, undo.disk_size),
                      "is it another disk?");
    }
    std::uint64_t at = undo.content_offset;
    for (const ByteRange& range : undo.ranges) {
        for_each_piece(from.get(), path, {at, range.length},
                       [&](std::span<const std::byte> bytes, std::uint64_t offset) {
                           write_at(to.get(), range.offset + (offset - at), bytes);
                       });
        at += range.length;
    }
    flush(to.get(), disk);
}

std::uint64_t sum_of(const fs::path& disk, std::span<const ByteRange> ranges) {
    const Fd fd = open_file(disk, O_RDONLY);
    Sum sum;
    for (const ByteRange& range : ranges) {
        for_each_piece(fd.get(), disk, range,
                       [&](std::span<const std::byte> bytes, std::uint64_t) { sum.add(bytes); });
    }
    return sum.value();
}

std::uint64_t saved_sum(const fs::path& path) {
    const UndoFile undo = read_undo_file(path);
    std::uint64_t bytes = 0;
    for (const ByteRange& range : undo.ranges) {
        bytes += range.length;
    }
    const std::vector<ByteRange> content{{undo.content_offset, bytes}};
    return bytes == 0 ? sum_of(path, {}) : sum_of(path, content);
}

} // namespace coldspare::fixup
