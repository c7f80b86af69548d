// Univention Configuration Registry: a service of UCS starts only if its variable autostart is
// neither "no" nor "manually". Its init script looks at it whoever calls it: at boot, from cron, or
// the directory listener when an account changes. The effective value is that of the highest layer
// that has one; base.conf is the lowest.
#include "base/text.hpp"
#include "fixup/hold_ways.hpp"
#include "fixup/services.hpp"
#include "fixup/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace coldspare::fixup {

namespace {

constexpr std::string_view base = "/etc/univention/base.conf";
/// Layers over base.conf.
constexpr std::array<std::string_view, 3> higher{"/etc/univention/base-ldap.conf",
                                                 "/etc/univention/base-schedule.conf",
                                                 "/etc/univention/base-forced.conf"};

struct KnownVariable {
    std::string_view service;
    std::string_view key;
};
/// Variables that are not called as their service.
constexpr std::array<KnownVariable, 6> known{{
    {"cyrus2.2", "mail/cyrus22/autostart"},
    {"cyrus21", "mail/cyrus21/autostart"},
    {"cyrus-imapd", "mail/cyrus/autostart"},
    {"cyrus", "mail/cyrus/autostart"},
    {"univention-directory-listener", "listener/autostart"},
    {"univention-directory-notifier", "notifier/autostart"},
}};

std::string value_of(const FileTree& files, std::string_view path, std::string_view key) {
    const std::string* text = files.text(path);
    SettingReader reader(text == nullptr ? std::string_view() : *text, ':');
    while (const std::optional<Setting> setting = reader.next()) {
        if (setting->key == key) {
            return std::string(setting->value);
        }
    }
    return {};
}

bool is_key_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '-' || c == '_' || c == '.';
}

/// Words ".../autostart" in an init script: the variables that it looks at.
std::set<std::string> keys_in(std::string_view script) {
    constexpr std::string_view word = "/autostart";
    std::set<std::string> keys;
    for (std::size_t at = script.find(word); at != std::string_view::npos;
         at = script.find(word, at + 1)) {
        std::size_t begin = at;
        while (begin > 0 && is_key_byte(script[begin - 1])) {
            --begin;
        }
        const std::size_t end = at + word.size();
        const bool ends = end == script.size() || !is_key_byte(script[end]);
        if (ends && begin < at && script[begin] != '/') {
            keys.insert(std::string(script.substr(begin, end - begin)));
        }
    }
    return keys;
}

/// The variables of a service: those that its script looks at, or by their names.
std::set<std::string> keys_of(const FileTree& files, const std::string& service) {
    const std::string script = find_script(files, service);
    if (const std::string* text = script.empty() ? nullptr : files.text("/etc/init.d/" + script)) {
        if (std::set<std::string> keys = keys_in(*text); !keys.empty()) {
            return keys;
        }
    }
    std::set<std::string> keys;
    for (const KnownVariable& variable : known) {
        if (variable.service == service) {
            keys.insert(std::string(variable.key));
        }
    }
    if (keys.empty()) {
        keys.insert(service + "/autostart");
    }
    return keys;
}

} // namespace

std::vector<HoldWay> hold_by_ucr(const FileTree& files, const std::string& service) {
    const std::string* text = files.text(base);
    if (text == nullptr) {
        return {};
    }
    HoldWay hold{.way = "UCR variable"};
    std::string after = *text;
    for (const std::string& key : keys_of(files, service)) {
        const std::string old_value = value_of(files, base, key);
        bool there = false;
        after =
            with_settings(after, ':', [&](const Setting& setting) -> std::optional<std::string> {
                there = there || setting.key == key;
                return setting.key == key && setting.value != "no"
                           ? std::optional<std::string>("no")
                           : std::nullopt;
            });
        if (!there) {
            after = with_line(after, key + ": no");
        }
        const std::string back =
            complaint_about_service(old_value).empty() && old_value != "no" ? old_value : "yes";
        hold.release.push_back(fmt::format("univention-config-registry set {}={}", key, back));
        for (const std::string_view layer : higher) {
            const std::string value = value_of(files, layer, key);
            if (!value.empty() && value != "no") {
                hold.warning = fmt::format("{} says {}: {}, which counts more than base.conf: the "
                                           "variable does not hold the service",
                                           layer, key, printable(value));
            }
        }
    }
    if (after != *text) {
        hold.edits.push_back({.path = std::string(base),
                              .before = *text,
                              .after = std::move(after),
                              .why = "whoever calls its script, the service does not start"});
    }
    return {std::move(hold)};
}

} // namespace coldspare::fixup
