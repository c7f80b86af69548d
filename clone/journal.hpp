#pragma once

#include "base/handle.hpp"
#include "clone/blocks.hpp"
#include "clone/range.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// What an unfinished copy is a copy of, and where it lies.
struct JournalHead {
    Geometry geometry;
    std::string source_name;
    std::string source_model;
    std::string source_serial;
    std::string source_wwn;
    std::uint64_t target_inode = 0; ///< of an image file; 0 for a device
    std::uint64_t target_born = 0;  ///< of an image file, ns since 1970; 0 where that is not known
    std::string target_serial;      ///< of a device
    std::string target_wwn;         ///< of a device
    bool operator==(const JournalHead&) const = default;
};

struct JournalContent {
    JournalHead head;
    std::vector<Range> durable;   ///< sorted and joined, inside the disk
    std::uint64_t good_bytes = 0; ///< of the file; a record that was torn by a crash lies behind
};

/// Reads what append() has written, up to the first record that is not whole. Throws Error if the
/// head is not that of a journal. Bytes: docs/FORMATS.md 2.
[[nodiscard]] JournalContent parse_journal(std::string_view content);

/// The same from a file; nothing if there is none.
[[nodiscard]] std::optional<JournalContent> read_journal(const std::filesystem::path& path);

/// The journal of one target, which says that the target is unfinished and which parts of it were
/// made durable. It is a hint where to look and a mark, never a proof: who resumes reads what is
/// there. Calls block until durable. Throws Error.
class Journal {
public:
    /// A new one in place of whatever is there; makes the directory if needed.
    [[nodiscard]] static Journal create(const std::filesystem::path& path, const JournalHead& head);
    /// Goes on behind what read_journal() found.
    [[nodiscard]] static Journal reopen(const std::filesystem::path& path,
                                        const JournalContent& content);

    void append(std::span<const Range> durable);

    /// Beyond so many bytes the journal is written anew with its ranges joined: 8 MiB unless a test
    /// asks otherwise.
    void shorten_beyond(std::uint64_t bytes) { long_ = bytes; }

private:
    Journal(std::filesystem::path path, JournalHead head, std::uint64_t size);
    void shorten();

    static constexpr std::uint64_t usually_long = 8 << 20;

    std::filesystem::path path_;
    JournalHead head_;
    Fd fd_;
    std::uint64_t size_;
    std::uint64_t long_ = usually_long;
};

} // namespace coldspare::clone
