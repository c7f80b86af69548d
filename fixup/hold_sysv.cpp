// Links of SysV init: /etc/rc2.d/S20cyrus2.2 -> ../init.d/cyrus2.2 starts a service in runlevel 2,
// and K80cyrus2.2 stops it. Renamed as update-rc.d and chkconfig do it, so that their own tools
// see a disabled service.
#include "base/text.hpp"
#include "fixup/guest_text.hpp"
#include "fixup/hold_ways.hpp"
#include "fixup/services.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::string_view why = "the service is held until the runbook releases it";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// "/etc/rc3.d", "/etc/rc.d/rc3.d" and "/etc/init.d/rc3.d" of the runlevels that start something.
bool is_start_directory(std::string_view directory) {
    const std::string_view name = directory.substr(directory.rfind('/') + 1);
    return name.size() == 5 && name.starts_with("rc") && name.ends_with(".d") &&
           std::string_view("12345S").find(name[2]) != std::string_view::npos;
}

/// "20" and "cyrus2.2" of "S20cyrus2.2".
struct StartName {
    std::string_view number;
    std::string_view script;
};

std::optional<StartName> start_name(std::string_view name) {
    if (name.size() < 4 || name[0] != 'S' || !is_digit(name[1]) || !is_digit(name[2])) {
        return std::nullopt;
    }
    return StartName{name.substr(1, 2), name.substr(3)};
}

/// What starts `script`: links by that name or to that script.
std::vector<std::string> start_links(const FileTree& files, const std::string& script) {
    std::vector<std::string> paths;
    for (std::string& path : files.below("/etc")) {
        const std::size_t slash = path.rfind('/');
        const std::string_view directory = std::string_view(path).substr(0, slash);
        const std::optional<StartName> name = start_name(std::string_view(path).substr(slash + 1));
        if (!name || !is_start_directory(directory)) {
            continue;
        }
        // SUSE has all of /etc/init.d once more under /etc/rc.d.
        const GuestFile* above = files.find(directory.substr(0, directory.rfind('/')));
        if (above != nullptr && above->status.kind == FileKind::symlink) {
            continue;
        }
        const std::string& target = files.find(path)->content;
        const bool by_target = files.find(path)->status.kind == FileKind::symlink &&
                               target.substr(target.rfind('/') + 1) == script;
        if (by_target || name->script == script) {
            paths.push_back(std::move(path));
        }
    }
    return paths;
}

/// The stop priority in "# chkconfig: 2345 65 35", or empty.
std::string stop_number(std::string_view script) {
    constexpr std::string_view key = "# chkconfig:";
    for (const std::string_view line : split_lines(script)) {
        const std::string_view bare = trim(line);
        if (!bare.starts_with(key)) {
            continue;
        }
        const std::string_view number = bare.substr(std::min(bare.rfind(' ') + 1, bare.size()));
        return number.size() == 2 && is_digit(number[0]) && is_digit(number[1])
                   ? std::string(number)
                   : std::string();
    }
    return {};
}

/// "80" for "20": what starts late stops early.
std::string mirrored(std::string_view number) {
    const int value = (number[0] - '0') * 10 + (number[1] - '0');
    return fmt::format("{:02}", std::min(100 - value, 99));
}

std::string without_word(std::string_view line, std::string_view word) {
    std::string result;
    for (std::size_t at = 0; at < line.size();) {
        const std::size_t blank = std::min(line.find_first_not_of(" \t", at), line.size());
        const std::size_t end = std::min(line.find_first_of(" \t\r", blank), line.size());
        if (line.substr(blank, end - blank) != word || blank == end) {
            result.append(line.substr(at, std::max(end, blank + (blank == end ? 1 : 0)) - at));
        }
        at = std::max(end, at + 1);
    }
    return result;
}

void hold_depend(const FileTree& files, const std::string& script, HoldWay& hold) {
    const std::string path = "/etc/init.d/.depend.start";
    const std::string* text = files.text(path);
    if (text == nullptr) {
        return;
    }
    std::string after = without_script(*text, script);
    if (after != *text) {
        hold.edits.push_back({.path = path,
                              .before = *text,
                              .after = std::move(after),
                              .why = "the order that insserv wrote has it no more"});
        hold.restore.emplace_back("insserv");
    }
}

} // namespace

std::string without_script(std::string_view depend, std::string_view script) {
    std::string result;
    for (std::size_t at = 0; at < depend.size();) {
        const std::size_t end = std::min(depend.find('\n', at), depend.size() - 1) + 1;
        std::string_view line = depend.substr(at, end - at);
        at = end;
        if (line.starts_with(script) && line.substr(script.size()).starts_with(':')) {
            continue;
        }
        const std::size_t start = line.find_first_of("=:");
        if (start == std::string_view::npos || line.starts_with('#')) {
            result.append(line);
            continue;
        }
        const bool ended = line.ends_with('\n');
        line.remove_suffix(ended ? 1 : 0);
        result.append(line.substr(0, start + 1))
            .append(without_word(line.substr(start + 1), script))
            .append(ended ? "\n" : "");
    }
    return result;
}

std::vector<HoldWay> hold_by_sysv_links(const FileTree& files, const std::string& service) {
    const std::string found = find_script(files, service);
    const std::string script = found.empty() ? service : found;
    const std::vector<std::string> links = start_links(files, script);
    if (found.empty() && links.empty()) {
        return {};
    }
    HoldWay hold{.way = "SysV links", .release = {fmt::format("/etc/init.d/{} start", script)}};
    const std::string* text = files.text("/etc/init.d/" + script);
    const std::string stop = stop_number(text == nullptr ? "" : *text);
    for (const std::string& path : links) {
        const std::size_t slash = path.rfind('/');
        const std::optional<StartName> name = start_name(std::string_view(path).substr(slash + 1));
        const GuestFile& link = *files.find(path);
        const std::string to =
            fmt::format("{}/K{}{}", path.substr(0, slash),
                        stop.empty() ? mirrored(name->number) : stop, name->script);
        // A file in place of a link keeps its content, under the other name.
        const bool is_link = link.status.kind == FileKind::symlink;
        hold.edits.push_back({.path = to,
                              .after = is_link ? link.content : path,
                              .why = std::string(why),
                              .kind = is_link ? EditKind::link : EditKind::copy});
        hold.edits.push_back({.path = path, .why = std::string(why), .kind = EditKind::remove});
        hold.restore.push_back(fmt::format("mv -f {} {}", shell_quoted(to), shell_quoted(path)));
    }
    hold_depend(files, script, hold);
    return {std::move(hold)};
}

} // namespace coldspare::fixup
