// What starts a service at boot differs with the age of the system, and several may be there at
// once; each way that may apply is closed, because one that is left open starts the service:
//
//   UCR variable     UCS: NAME/autostart is no (hold_by_ucr)
//   systemd drop-in  a condition that only the runbook makes true. No mask: a mask cannot stand
//                    where the unit's own file is (/etc/systemd/system), and makes what requires
//                    the unit fail, where a condition is passed over in silence.
//   SysV links       S20name becomes K80name in rc1.d to rc5.d and rcS.d (hold_by_sysv_links)
//   Upstart          NAME.override with "manual"
//   xinetd           disable = yes
//   runit            a file "down" in the service's directory
#include "fixup/hold_ways.hpp"

#include "base/text.hpp"
#include "fixup/guest_text.hpp"
#include "fixup/services.hpp"
#include "fixup/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::string_view held_why = "the service is held until the runbook releases it";

constexpr std::string_view released_directory = "/run/coldspare/released/";

FileEdit edit_of(const FileTree& files, std::string path, std::string after) {
    const std::string* before = files.text(path);
    return {.path = std::move(path),
            .before = before == nullptr ? std::nullopt : std::optional(*before),
            .after = std::move(after),
            .why = std::string(held_why)};
}

std::string drop_in(const std::string& service) {
    return fmt::format("# coldspare fixup: {0} is held until the runbook releases it\n"
                       "[Unit]\n"
                       "ConditionPathExists={1}{0}\n",
                       service, released_directory);
}

/// The service that a drop-in of ours waits for, or empty.
std::string waits_for(std::string_view text) {
    SettingReader reader(text, '=');
    while (const std::optional<Setting> setting = reader.next()) {
        if (setting->key == "ConditionPathExists" &&
            setting->value.starts_with(released_directory)) {
            return std::string(setting->value.substr(released_directory.size()));
        }
    }
    return {};
}

std::vector<HoldWay> hold_by_systemd(const FileTree& files, const std::string& service) {
    UnitName name = find_units(files, service);
    if (name.units.empty() && !name.masked && !find_script(files, service).empty()) {
        name.units.push_back(name.stem + ".service"); // systemd makes a unit of the script
    }
    if (name.masked && name.units.empty()) {
        return {{.way = "masked by the server",
                 .release = {fmt::format("systemctl unmask {}.service", name.stem)},
                 .warning = fmt::format("{} is masked on the server: it starts neither there nor "
                                        "here",
                                        name.stem)}};
    }
    if (name.units.empty()) {
        return {};
    }
    HoldWay hold{.way = "systemd drop-in"};
    std::vector<std::string> paths;
    std::string released = service; // the name that the condition waits for
    for (const std::string& unit : name.units) {
        // Named so that it is read last: an empty ConditionPathExists= in an earlier one would
        // otherwise take it back.
        std::string path = fmt::format("/etc/systemd/system/{}.d/zz-coldspare-hold.conf", unit);
        paths.push_back(path);
        const std::string* text = files.text(path);
        if (const std::string waits = waits_for(text == nullptr ? "" : *text); !waits.empty()) {
            released = waits; // of another name of the same unit
        } else {
            hold.edits.push_back(edit_of(files, std::move(path), drop_in(service)));
        }
    }
    std::vector<std::string> to_start = enabled_units(files, name.units);
    const std::string main = name.stem + ".service";
    if (std::ranges::find(to_start, main) == to_start.end() &&
        std::ranges::find(name.units, main) != name.units.end()) {
        to_start.push_back(main);
    }
    hold.release = {"mkdir -p /run/coldspare/released",
                    fmt::format("touch {}{}", released_directory, released)};
    if (!to_start.empty()) {
        hold.release.push_back(fmt::format("systemctl start {}", fmt::join(to_start, " ")));
    }
    hold.restore = {fmt::format("rm -f {}", fmt::join(paths, " ")), "systemctl daemon-reload"};
    return {std::move(hold)};
}

std::vector<HoldWay> hold_by_upstart(const FileTree& files, const std::string& service) {
    // The Upstart of RHEL 6, which this job is of, knows no overrides.
    if (!files.exists(fmt::format("/etc/init/{}.conf", service)) ||
        files.exists("/etc/init/rcS-sulogin.conf")) {
        return {};
    }
    constexpr std::string_view mark = "# coldspare fixup: held until the runbook releases it";
    const std::string path = fmt::format("/etc/init/{}.override", service);
    HoldWay hold{.way = "Upstart override", .release = {fmt::format("start {}", service)}};
    const std::string* text = files.text(path);
    const std::string old_text = text == nullptr ? "" : *text;
    const std::size_t at = old_text.find(mark);
    hold.restore = {old_text.empty() || at == 0
                        ? fmt::format("rm {}", path)
                        : fmt::format("sed -i '/^# coldspare fixup/,$d' {}", path)};
    // What comes last counts: an override may also say when to start.
    if (at == std::string::npos) {
        hold.edits.push_back(edit_of(files, path, with_line(with_line(old_text, mark), "manual")));
    }
    return {std::move(hold)};
}

/// A file may have several blocks of braces (imap and imaps): each gets the setting that it lacks.
std::string with_disable_in_each_block(std::string_view text) {
    std::string result;
    bool has = false;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
        const std::string_view line = text.substr(at, end - at);
        const std::string_view bare = trim(line);
        has = has || bare.starts_with("disable");
        if (bare == "}") {
            result += has ? "" : "\tdisable = yes\n";
            has = false;
        }
        result += line;
        at = end;
    }
    return result;
}

std::vector<HoldWay> hold_by_xinetd(const FileTree& files, const std::string& service) {
    const std::string path = fmt::format("/etc/xinetd.d/{}", service);
    const std::string* text = files.text(path);
    if (text == nullptr) {
        return {};
    }
    std::string after =
        with_settings(*text, '=', [&](const Setting& setting) -> std::optional<std::string> {
            if (setting.key != "disable") {
                return std::nullopt;
            }
            return setting.value == "yes" ? std::nullopt : std::optional<std::string>("yes");
        });
    after = with_disable_in_each_block(after);
    HoldWay hold{.way = "xinetd"};
    const std::string back =
        fmt::format("sed -i 's/^\\([ \\t]*disable[ \\t]*=[ \\t]*\\)yes/\\1no/' {}", path);
    hold.release = {back, "/etc/init.d/xinetd reload"};
    if (after != *text) {
        hold.edits.push_back(edit_of(files, path, std::move(after)));
    }
    return {std::move(hold)};
}

std::vector<HoldWay> hold_by_runit(const FileTree& files, const std::string& service) {
    for (const char* root : {"/etc/service/", "/var/service/", "/service/"}) {
        std::string directory = root + service;
        const GuestFile* file = files.find(directory);
        if (file == nullptr) {
            continue;
        }
        if (file->status.kind == FileKind::symlink && file->content.starts_with('/')) {
            directory = file->content;
        }
        const std::string down = directory + "/down";
        HoldWay hold{.way = "runit",
                     .release = {fmt::format("rm {}", shell_quoted(down)),
                                 fmt::format("sv up {}", service)}};
        if (!files.exists(down)) {
            hold.edits.push_back(edit_of(files, down, "\n"));
        }
        return {std::move(hold)};
    }
    return {};
}

} // namespace

std::vector<HoldWay> hold_ways(const FileTree& files, const std::string& service) {
    const Init init = init_of(files);
    std::vector<HoldWay> ways;
    const auto add = [&ways](std::vector<HoldWay> more) {
        for (HoldWay& way : more) {
            ways.push_back(std::move(way));
        }
    };
    if (init.systemd) {
        add(hold_by_systemd(files, service));
    }
    if (init.scripts) {
        add(hold_by_upstart(files, service));
        add(hold_by_sysv_links(files, service));
    }
    add(hold_by_xinetd(files, service));
    add(hold_by_runit(files, service));
    std::vector<HoldWay> variable = hold_by_ucr(files, service);
    if (ways.empty()) {
        return {}; // a variable starts nothing
    }
    for (HoldWay& way : variable) {
        ways.insert(ways.begin(), std::move(way));
    }
    return ways;
}

} // namespace coldspare::fixup
