#include "fixup/file_tree.hpp"

#include "fixup/plan.hpp"

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_file = std::uint64_t{1} << 20;
constexpr std::size_t most_files = 1000; ///< of a pattern, and of the directories on its way

constexpr std::uint64_t most_bytes = std::uint64_t{128} << 20; // of all files together

enum class Look { content, presence };

/// `left` is what may still be read; what no longer fits is there, and was not read.
void read_one(Guest& guest, const std::string& path, Look look, std::uint64_t& left,
              FileTree& tree) {
    GuestFile file{.status = guest.status(path)};
    if (file.status.kind == FileKind::absent || (look == Look::presence && tree.exists(path))) {
        return;
    }
    if (file.status.kind == FileKind::symlink) {
        file.content = guest.link_target(path);
    } else if (look == Look::content && file.status.kind == FileKind::file &&
               file.status.size <= std::min(largest_file, left)) {
        left -= file.status.size;
        file.content = guest.read(path, largest_file);
        file.readable = true;
    }
    tree.put(path, std::move(file));
}

bool fits(std::string_view name, std::string_view pattern) {
    const std::size_t star = pattern.find('*');
    const std::string_view front = pattern.substr(0, star);
    const std::string_view back = pattern.substr(star + 1);
    return name.size() >= front.size() + back.size() && name.starts_with(front) &&
           name.ends_with(back);
}

/// The paths that a pattern stands for, except that the last may not exist.
std::vector<std::string> expand(Guest& guest, std::string_view pattern) {
    std::vector<std::string> paths{""};
    while (!pattern.empty()) {
        const std::size_t star = pattern.find('*');
        const std::size_t slash = pattern.rfind('/', star);
        const std::size_t end = star == std::string_view::npos
                                    ? pattern.size()
                                    : std::min(pattern.find('/', star), pattern.size());
        if (star == std::string_view::npos) {
            for (std::string& path : paths) {
                path += pattern;
            }
            return paths;
        }
        const std::string_view part = pattern.substr(slash + 1, end - slash - 1);
        std::vector<std::string> found;
        for (const std::string& start : paths) {
            const std::string directory = start + std::string(pattern.substr(0, slash));
            for (const std::string& name : guest.names_in(directory)) {
                const std::string path = directory + "/" + name;
                if (found.size() < most_files && fits(name, part) &&
                    (end == pattern.size() || guest.status(path).kind == FileKind::directory)) {
                    found.push_back(path);
                }
            }
        }
        paths = std::move(found);
        pattern.remove_prefix(end);
    }
    return paths;
}

} // namespace

const GuestFile* FileTree::find(std::string_view path) const {
    const auto found = files_.find(path);
    return found == files_.end() ? nullptr : &found->second;
}

const std::string* FileTree::text(std::string_view path) const {
    const GuestFile* file = find(path);
    return file != nullptr && file->readable ? &file->content : nullptr;
}

std::string_view FileTree::text_or_empty(std::string_view path) const {
    const std::string* content = text(path);
    return content == nullptr ? std::string_view() : *content;
}

std::vector<std::string> FileTree::in(std::string_view directory, std::string_view suffix) const {
    std::vector<std::string> paths;
    const std::string start = std::string(directory) + "/";
    for (auto at = files_.lower_bound(start); at != files_.end() && at->first.starts_with(start);
         ++at) {
        if (at->first.ends_with(suffix) && at->first.find('/', start.size()) == std::string::npos) {
            paths.push_back(at->first);
        }
    }
    return paths;
}

std::vector<std::string> FileTree::below(std::string_view directory) const {
    std::vector<std::string> paths;
    const std::string start = std::string(directory) + "/";
    for (auto at = files_.lower_bound(start); at != files_.end() && at->first.starts_with(start);
         ++at) {
        paths.push_back(at->first);
    }
    return paths;
}

void FileTree::apply(const FileEdit& edit) {
    switch (edit.kind) {
    case EditKind::write: {
        GuestFile& file = files_[edit.path];
        if (file.status.kind == FileKind::absent) {
            file.status.mode = edit.mode;
        }
        file.status.kind = FileKind::file;
        file.status.size = edit.after.size();
        file.content = edit.after;
        file.readable = true;
        break;
    }
    case EditKind::append:
        if (const auto found = files_.find(edit.path); found != files_.end()) {
            found->second.content += edit.after;
            found->second.status.size += edit.after.size();
        }
        break;
    case EditKind::remove:
        files_.erase(edit.path);
        break;
    case EditKind::link:
        files_[edit.path] = {.status = {.kind = FileKind::symlink, .size = edit.after.size()},
                             .content = edit.after};
        break;
    case EditKind::copy:
        if (const GuestFile* from = find(edit.after)) {
            const GuestFile copied = *from;
            files_[edit.path] = copied;
        } else {
            files_[edit.path] = {.status = {.kind = FileKind::file}};
        }
        break;
    }
}

FileTree read_files(Guest& guest, std::span<const std::string_view> patterns) {
    FileTree tree;
    std::uint64_t left = most_bytes;
    for (std::string_view pattern : patterns) {
        const Look look = pattern.starts_with('?') ? Look::presence : Look::content;
        pattern.remove_prefix(look == Look::presence ? 1 : 0);
        for (const std::string& path : expand(guest, pattern)) {
            read_one(guest, path, look, left, tree);
        }
    }
    return tree;
}

} // namespace coldspare::fixup
