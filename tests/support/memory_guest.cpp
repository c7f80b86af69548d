#include "tests/support/memory_guest.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

MemoryGuest::MemoryGuest() {
    nodes["/"] = {.kind = FileKind::directory};
}

void MemoryGuest::put(const std::string& path, std::string content, mode_t mode) {
    put_directory(parent_of(path));
    nodes[path] = {.kind = FileKind::file, .content = std::move(content), .mode = mode};
}

void MemoryGuest::put_directory(const std::string& path) {
    for (std::string at = path; at != "/"; at = parent_of(at)) {
        nodes.try_emplace(at, Node{.kind = FileKind::directory});
    }
}

void MemoryGuest::put_link(const std::string& path, const std::string& target) {
    put_directory(parent_of(path));
    nodes[path] = {.kind = FileKind::symlink, .content = target};
}

FileStatus MemoryGuest::status(const std::string& path) {
    const auto found = nodes.find(path);
    return found == nodes.end()
               ? FileStatus{}
               : FileStatus{found->second.kind, found->second.content.size(), found->second.mode};
}

std::vector<std::string> MemoryGuest::names_in(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& [path, node] : nodes) {
        if (path != "/" && parent_of(path) == directory) {
            names.push_back(path.substr(directory.size() + 1));
        }
    }
    std::ranges::sort(names);
    return names;
}

std::string MemoryGuest::read(const std::string& path, std::uint64_t limit) {
    const auto found = nodes.find(path);
    if (found == nodes.end()) {
        throw Error(fmt::format("reading '{}' inside the copy: No such file or directory", path));
    }
    if (found->second.kind == FileKind::symlink) {
        return read(found->second.content, limit);
    }
    if (found->second.kind != FileKind::file || found->second.content.size() > limit) {
        throw Error(
            fmt::format("reading '{}' inside the copy: it is a directory or too large", path));
    }
    return found->second.content;
}

void MemoryGuest::write(const std::string& path, std::string_view content, mode_t mode) {
    if (status(parent_of(path)).kind != FileKind::directory) {
        throw Error(fmt::format("writing '{}' inside the copy: No such file or directory", path));
    }
    if (const auto found = nodes.find(path); found != nodes.end()) {
        if (found->second.kind != FileKind::file) {
            throw Error(fmt::format("writing '{}' inside the copy: Is a directory", path));
        }
        found->second.content = content;
        return;
    }
    nodes[path] = {.kind = FileKind::file, .content = std::string(content), .mode = mode};
}

void MemoryGuest::remove(const std::string& path) {
    if (nodes.erase(path) == 0) {
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
    const auto found = nodes.find(path);
    if (found == nodes.end() || found->second.kind != FileKind::symlink) {
        throw Error(fmt::format("reading the link '{}' inside the copy: Invalid argument", path));
    }
    return found->second.content;
}

void MemoryGuest::make_link(const std::string& path, const std::string& target) {
    if (status(parent_of(path)).kind != FileKind::directory || nodes.contains(path)) {
        throw Error(fmt::format("making the link '{}' inside the copy: File exists", path));
    }
    nodes[path] = {.kind = FileKind::symlink, .content = target};
}

void MemoryGuest::make_directory(const std::string& path) {
    if (status(parent_of(path)).kind != FileKind::directory || nodes.contains(path)) {
        throw Error(fmt::format("making the directory '{}' inside the copy: File exists", path));
    }
    nodes[path] = {.kind = FileKind::directory};
}

void MemoryGuest::copy_file(const std::string& from, const std::string& to) {
    write(to, read(from, std::uint64_t{1} << 30), 0644);
}

void MemoryGuest::label_like(const std::string& path, const std::string& model) {
    if (const std::string& label = nodes.at(model).label; !label.empty()) {
        nodes.at(path).label = label;
    }
}

std::string MemoryGuest::read_disk(unsigned, std::uint64_t offset, std::uint64_t size) {
    return offset >= disk.size() ? std::string() : disk.substr(offset, size);
}

} // namespace coldspare::fixup
