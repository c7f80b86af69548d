#include "tests/support/memory_guest.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace coldspare::fixup {

namespace {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// Where a symbolic link in `directory` leads.
std::string joined(const std::string& directory, const std::string& target) {
    return (target.starts_with('/') ? std::filesystem::path(target)
                                    : std::filesystem::path(directory) / target)
        .lexically_normal();
}

} // namespace

/// `path` without links to directories on the way; what it names itself may be one.
std::string MemoryGuest::real(const std::string& path) const {
    std::string result;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at + 1), path.size());
        result += path.substr(at, end - at);
        const auto found = nodes.find(result);
        if (end < path.size() && found != nodes.end() && found->second.kind == FileKind::symlink) {
            result = real(joined(parent_of(result), found->second.content));
        }
        at = end;
    }
    return result;
}

MemoryGuest::MemoryGuest() {
    nodes["/"] = {.kind = FileKind::directory};
}

void MemoryGuest::put(const std::string& path, std::string content, mode_t mode) {
    put_directory(parent_of(real(path)));
    nodes[real(path)] = {.kind = FileKind::file, .content = std::move(content), .mode = mode};
}

void MemoryGuest::put_directory(const std::string& path) {
    for (std::string at = real(path); at != "/"; at = parent_of(at)) {
        nodes.try_emplace(at, Node{.kind = FileKind::directory});
    }
}

void MemoryGuest::put_link(const std::string& path, const std::string& target) {
    put_directory(parent_of(real(path)));
    nodes[real(path)] = {.kind = FileKind::symlink, .content = target};
}

FileStatus MemoryGuest::status(const std::string& path) {
    if (!path.starts_with('/')) {
        throw Error(fmt::format("looking at '{}' inside the copy: it is no absolute path", path));
    }
    const auto found = nodes.find(real(path));
    return found == nodes.end()
               ? FileStatus{}
               : FileStatus{found->second.kind, found->second.content.size(), found->second.mode};
}

std::vector<std::string> MemoryGuest::names_in(const std::string& directory) {
    std::vector<std::string> names;
    const std::string place = directory == "/" ? directory : parent_of(real(directory + "/x"));
    for (const auto& [path, node] : nodes) {
        if (path != "/" && parent_of(path) == place) {
            names.push_back(path.substr(path.rfind('/') + 1));
        }
    }
    std::ranges::sort(names);
    return names;
}

std::string MemoryGuest::read(const std::string& path, std::uint64_t limit) {
    const auto found = nodes.find(real(path));
    if (found == nodes.end()) {
        throw Error(fmt::format("reading '{}' inside the copy: No such file or directory", path));
    }
    if (found->second.kind == FileKind::symlink) {
        return read(joined(parent_of(found->first), found->second.content), limit);
    }
    if (found->second.kind != FileKind::file || found->second.content.size() > limit) {
        throw Error(
            fmt::format("reading '{}' inside the copy: it is a directory or too large", path));
    }
    return found->second.content;
}

void MemoryGuest::write(const std::string& path, std::string_view content, mode_t mode) {
    if (status(parent_of(real(path))).kind != FileKind::directory) {
        throw Error(fmt::format("writing '{}' inside the copy: No such file or directory", path));
    }
    if (const auto found = nodes.find(real(path)); found != nodes.end()) {
        if (found->second.kind != FileKind::file) {
            throw Error(fmt::format("writing '{}' inside the copy: Is a directory", path));
        }
        found->second.content = content;
        return;
    }
    nodes[real(path)] = {.kind = FileKind::file, .content = std::string(content), .mode = mode};
}

void MemoryGuest::append(const std::string& path, std::string_view bytes) {
    if (status(path).kind != FileKind::file) {
        throw Error(fmt::format("adding to '{}' inside the copy: No such file or directory", path));
    }
    nodes.at(path).content += bytes;
}

void MemoryGuest::remove(const std::string& path) {
    if (nodes.erase(real(path)) == 0) {
        throw Error(fmt::format("removing '{}' inside the copy: No such file or directory", path));
    }
}

std::uint64_t MemoryGuest::free_bytes(const std::string&) {
    return free;
}

CommandOutput MemoryGuest::run(const std::string& line) {
    lines.push_back(line);
    return shell ? shell(*this, line) : CommandOutput{};
}

std::string MemoryGuest::link_target(const std::string& path) {
    const auto found = nodes.find(real(path));
    if (found == nodes.end() || found->second.kind != FileKind::symlink) {
        throw Error(fmt::format("reading the link '{}' inside the copy: Invalid argument", path));
    }
    return found->second.content;
}

void MemoryGuest::make_link(const std::string& path, const std::string& target) {
    const std::string parent = parent_of(real(path));
    if (status(parent).kind != FileKind::directory || nodes.contains(real(path))) {
        throw Error(fmt::format("making the link '{}' inside the copy: File exists", path));
    }
    nodes[real(path)] = {.kind = FileKind::symlink, .content = target};
}

void MemoryGuest::make_directory(const std::string& path) {
    const std::string parent = parent_of(real(path));
    if (status(parent).kind != FileKind::directory || nodes.contains(real(path))) {
        throw Error(fmt::format("making the directory '{}' inside the copy: File exists", path));
    }
    nodes[real(path)] = {.kind = FileKind::directory};
}

void MemoryGuest::copy_file(const std::string& from, const std::string& to) {
    write(to, read(from, std::uint64_t{1} << 30), 0644);
}

void MemoryGuest::label_like(const std::string& path, const std::string& model) {
    if (const std::string& label = nodes.at(real(model)).label; !label.empty()) {
        nodes.at(real(path)).label = label;
    }
}

std::string MemoryGuest::read_disk(unsigned number, std::uint64_t offset, std::uint64_t size) {
    const std::string& bytes = number == 0 ? disk : other_disks.at(number - 1);
    return offset >= bytes.size() ? std::string() : bytes.substr(offset, size);
}

std::string MemoryGuest::disk_name(unsigned number) const {
    const std::string name = "/dev/disk/guestfs/memory";
    return number == 0 ? name : name + static_cast<char>('a' + number);
}

} // namespace coldspare::fixup
