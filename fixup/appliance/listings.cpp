#include "fixup/appliance/listings.hpp"

#include "base/error.hpp"
#include "base/handle.hpp"

#include <fmt/format.h>

#include <guestfs.h>

#include <cerrno>
#include <sys/stat.h>

namespace coldspare::fixup {

namespace {

using StatNs = Handle<struct guestfs_statns, guestfs_free_statns>;
using StatNsList = Handle<struct guestfs_statns_list, guestfs_free_statns_list>;

FileStatus status_from(const struct guestfs_statns& info) {
    constexpr int64_t permissions = 07777;
    const auto size = static_cast<std::uint64_t>(info.st_size);
    const auto mode = static_cast<mode_t>(info.st_mode & permissions);
    switch (info.st_mode & S_IFMT) {
    case S_IFREG:
        return {FileKind::file, size, mode};
    case S_IFDIR:
        return {FileKind::directory, size, mode};
    case S_IFLNK:
        return {FileKind::symlink, size, mode};
    default:
        return {FileKind::other, size, mode};
    }
}

/// Whether a path names its parts one by one, so that the text before its last '/' is where it is.
bool is_plain(std::string_view path) {
    return path.size() > 1 && path.starts_with('/') && !path.ends_with('/') &&
           path.find("//") == std::string_view::npos && path.find("/.") == std::string_view::npos;
}

} // namespace

FileStatus Listings::ask(const std::string& path) const {
    const StatNs info(guestfs_lstatns(appliance_.handle(), path.c_str()));
    if (info) {
        return status_from(*info);
    }
    const int why = guestfs_last_errno(appliance_.handle());
    if (why != ENOENT && why != ENOTDIR) {
        appliance_.fail(fmt::format("looking at '{}' inside the copy", path));
    }
    return {};
}

FileStatus Listings::status(const std::string& path) {
    if (!is_plain(path)) {
        return ask(path);
    }
    const std::size_t slash = path.rfind('/');
    const std::optional<Directory>& directory = look(slash == 0 ? "/" : path.substr(0, slash));
    if (!directory) {
        return {};
    }
    const auto found = directory->find(std::string_view(path).substr(slash + 1));
    return found == directory->end() ? FileStatus() : found->second;
}

std::vector<std::string> Listings::names_in(const std::string& directory) {
    std::vector<std::string> names;
    const auto take = [&names](const std::optional<Directory>& found) {
        for (const auto& [name, status] : found.value_or(Directory())) {
            names.push_back(name);
        }
    };
    if (is_plain(directory) || directory == "/") {
        take(look(directory));
    } else {
        take(is_directory(directory) ? read(directory) : std::nullopt);
    }
    return names;
}

const std::optional<Listings::Directory>& Listings::look(const std::string& directory) {
    if (const auto found = known_.find(directory); found != known_.end()) {
        return found->second;
    }
    const bool is_there = directory == "/" || is_directory(directory);
    return known_.emplace(directory, is_there ? read(directory) : std::nullopt).first->second;
}

bool Listings::is_directory(const std::string& path) {
    const FileKind kind = status(path).kind;
    if (kind != FileKind::symlink) {
        return kind == FileKind::directory;
    }
    const int follows = guestfs_is_dir_opts(appliance_.handle(), path.c_str(),
                                            GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1);
    appliance_.check(follows, fmt::format("looking at '{}' inside the copy", path));
    return follows == 1;
}

std::optional<Listings::Directory> Listings::read(const std::string& directory) const {
    const std::string what = fmt::format("listing '{}' inside the copy", directory);
    std::vector<std::string> names =
        appliance_.strings(guestfs_ls(appliance_.handle(), directory.c_str()), what);
    std::vector<char*> pointers;
    for (std::string& name : names) {
        pointers.push_back(name.data());
    }
    pointers.push_back(nullptr);
    const StatNsList list(
        guestfs_lstatnslist(appliance_.handle(), directory.c_str(), pointers.data()));
    appliance_.check(list && list->len == names.size() ? 0 : -1, what);
    Directory found;
    for (std::size_t i = 0; i < names.size(); ++i) {
        found.emplace(std::move(names[i]), status_from(list->val[i]));
    }
    return found;
}

} // namespace coldspare::fixup
