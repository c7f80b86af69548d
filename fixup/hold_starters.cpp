// What else may start a service: lines that a person or a program wrote, which no hold takes back.
#include "base/text.hpp"
#include "fixup/hold_ways.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_lines = 20;

bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

bool has_word(std::string_view line, std::string_view word) {
    for (std::size_t at = line.find(word); at != std::string_view::npos;
         at = line.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        if ((at == 0 || !is_name_byte(line[at - 1])) &&
            (end == line.size() || !is_name_byte(line[end]))) {
            return true;
        }
    }
    return false;
}

enum class Mention { any, with_start };

void look(const FileTree& files, const std::string& path, Mention mention,
          const std::string& service, std::vector<std::string>& lines) {
    const std::string* text = files.text(path);
    std::size_t number = 0;
    for (const std::string_view line : split_lines(text == nullptr ? std::string_view() : *text)) {
        ++number;
        const std::string_view bare = trim(line);
        const bool starts = mention == Mention::any || bare.starts_with("@reboot") ||
                            bare.find("start") != std::string_view::npos;
        if (starts && !bare.starts_with('#') && has_word(bare, service) &&
            lines.size() < most_lines) {
            lines.push_back(fmt::format("{}:{}: {}", path, number, printable(bare.substr(0, 200))));
        }
    }
}

} // namespace

std::vector<std::string> other_starters(const FileTree& files, const std::string& service) {
    std::vector<std::string> lines;
    for (const char* path :
         {"/etc/rc.local", "/etc/rc.d/rc.local", "/etc/inittab", "/etc/inetd.conf"}) {
        look(files, path, Mention::any, service, lines);
    }
    for (const char* path : {"/etc/crontab", "/etc/monitrc", "/etc/monit/monitrc"}) {
        look(files, path, Mention::with_start, service, lines);
    }
    for (const char* directory :
         {"/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs", "/var/spool/cron/tabs",
          "/etc/monit/conf.d", "/etc/monit/conf-enabled", "/etc/monit.d"}) {
        for (const std::string& path : files.in(directory)) {
            look(files, path, Mention::with_start, service, lines);
        }
    }
    return lines;
}

} // namespace coldspare::fixup
