#pragma once

#include "fixup/guest.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

struct FileEdit;

/// A file of the copy as the plan sees it.
struct GuestFile {
    FileStatus status;
    std::string content;   ///< of an ordinary file that could be read, or where a link leads
    bool readable = false; ///< an ordinary file that is small enough to be a configuration
};

/// The files that the fixes look at, as they are after the fixes so far. A value: nothing is read
/// or written by it.
class FileTree {
public:
    /// Puts one there, or another in its place.
    void put(const std::string& path, GuestFile file) { files_[path] = std::move(file); }

    /// Nothing if the pattern of no fix covers it, or if there is none.
    [[nodiscard]] const GuestFile* find(std::string_view path) const;
    [[nodiscard]] bool exists(std::string_view path) const { return find(path) != nullptr; }
    /// The text of an ordinary file that was read, or nothing.
    [[nodiscard]] const std::string* text(std::string_view path) const;
    /// The paths in a directory (not below its subdirectories) whose name ends in `suffix`, sorted.
    [[nodiscard]] std::vector<std::string> in(std::string_view directory,
                                              std::string_view suffix = {}) const;

    /// The paths below a directory, at any depth, sorted.
    [[nodiscard]] std::vector<std::string> below(std::string_view directory) const;

    /// Does to this tree what the edit will do to the copy.
    void apply(const FileEdit& edit);

private:
    std::map<std::string, GuestFile, std::less<>> files_;
};

/// Reads what the patterns name. A pattern is a path; each of its parts may hold one '*'
/// ("/etc/netplan/*.yaml", "/etc/iscsi/nodes/*/*"), which before the last part stands for
/// directories and not for links to them; '?' before the path asks only whether it is there. Files
/// larger than 1 MiB and of a pattern more than 1000 are not read. Throws what the guest throws.
[[nodiscard]] FileTree read_files(Guest& guest, std::span<const std::string_view> patterns);

} // namespace coldspare::fixup
