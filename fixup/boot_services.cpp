#include "fixup/boot_services.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

/// Where links that start services are: targets of systemd, and runlevels below each of the roots
/// of System V.
constexpr std::array<std::string_view, 10> targets{"multi-user", "graphical", "default", "basic",
                                                   "sysinit",    "sockets",   "timers",  "local-fs",
                                                   "remote-fs",  "bluetooth"};
constexpr std::array<std::string_view, 6> runlevels{"boot", "rcS", "rc2", "rc3", "rc4", "rc5"};

constexpr std::string_view unit_directory = "/etc/systemd/system/";

std::string_view directory_of(std::string_view path) {
    return path.substr(0, path.rfind('/'));
}

std::string_view name_of(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

bool is_systemd(const FileTree& files) {
    const GuestFile* init = files.find("/sbin/init");
    return init != nullptr && init->status.kind == FileKind::symlink &&
           init->content.find("systemd") != std::string::npos;
}

bool is_masked(const FileTree& files, std::string_view service) {
    const GuestFile* unit = files.find(fmt::format("{}{}.service", unit_directory, service));
    return unit != nullptr && unit->status.kind == FileKind::symlink &&
           unit->content == "/dev/null";
}

/// "smartd" of "S20smartd"; empty if it is no such link.
std::string_view sysv_service(std::string_view name) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    return name.size() > 3 && name[0] == 'S' && digit(name[1]) && digit(name[2]) ? name.substr(3)
                                                                                 : "";
}

/// Where the links of System V are: Red Hat has /etc/rc3.d as a link to /etc/rc.d/rc3.d, SUSE
/// /etc/rc.d as one to /etc/init.d, and each file shall be found once.
std::string_view sysv_root(const FileTree& files) {
    for (const std::string_view root : {"/etc/init.d/", "/etc/rc.d/"}) {
        for (const char* level : {"rc3.d", "rc5.d"}) {
            if (!files.in(fmt::format("{}{}", root, level), "").empty()) {
                return root;
            }
        }
    }
    return "/etc/";
}

} // namespace

std::vector<std::string> starting_links(const FileTree& files, std::string_view service) {
    std::vector<std::string> links;
    if (is_masked(files, service) && is_systemd(files)) {
        return links;
    }
    for (const std::string_view target : targets) {
        const std::string path =
            fmt::format("{}{}.target.wants/{}.service", unit_directory, target, service);
        if (files.exists(path)) {
            links.push_back(path);
        }
    }
    const std::string_view root = sysv_root(files);
    for (const std::string_view runlevel : runlevels) {
        for (std::string& path : files.in(fmt::format("{}{}.d", root, runlevel))) {
            if (sysv_service(name_of(path)) == service) {
                links.push_back(std::move(path));
            }
        }
    }
    return links;
}

std::vector<FileEdit> edits_to_disable(const FileTree& files, std::string_view service,
                                       std::string_view why) {
    std::vector<FileEdit> edits;
    const std::vector<std::string> links = starting_links(files, service);
    const std::string unit = fmt::format("{}{}.service", unit_directory, service);
    const GuestFile* own = files.find(unit);
    const bool is_own = own != nullptr && own->status.kind == FileKind::file;
    if (!links.empty() && is_systemd(files) && !is_own) {
        edits.push_back(
            {.path = unit, .after = "/dev/null", .why = std::string(why), .kind = EditKind::link});
        return edits;
    }
    for (const std::string& link : links) {
        edits.push_back({.path = link, .why = std::string(why), .kind = EditKind::remove});
        const GuestFile* file = files.find(link);
        const std::string_view name = name_of(link);
        if (sysv_service(name).empty() || file->status.kind != FileKind::symlink) {
            continue;
        }
        const int number = (name[1] - '0') * 10 + (name[2] - '0');
        edits.push_back({.path = fmt::format("{}/K{:02}{}", directory_of(link),
                                             std::min(100 - number, 99), service),
                         .after = file->content,
                         .why = std::string(why),
                         .kind = EditKind::link});
    }
    return edits;
}

} // namespace coldspare::fixup
