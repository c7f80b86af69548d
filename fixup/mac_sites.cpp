#include "fixup/mac_sites.hpp"

#include "base/text.hpp"
#include "fixup/ini.hpp"

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_lines = 20000;
constexpr std::size_t written_mac = 17; // with separators

/// A word of a line and where it stands in the text.
struct Word {
    std::string_view text;
    std::size_t begin = 0;
};

std::size_t offset_in(std::string_view text, std::string_view part) {
    return static_cast<std::size_t>(part.data() - text.data());
}

std::vector<Word> words_in(std::string_view text, std::string_view line) {
    constexpr std::string_view blanks = " \t\r\v\f";
    std::vector<Word> words;
    for (std::size_t at = line.find_first_not_of(blanks); at < line.size();) {
        const std::size_t end = std::min(line.find_first_of(blanks, at), line.size());
        words.push_back({line.substr(at, end - at), offset_in(text, line) + at});
        at = line.find_first_not_of(blanks, end);
    }
    return words;
}

/// Calls `use(line, number)` for every line that is no comment.
template <typename Use>
void each_live_line(std::string_view text, const Use& use) {
    std::size_t number = 0;
    for (const std::string_view line : split_lines(text)) {
        if (++number > most_lines) {
            return;
        }
        const std::string_view bare = trim(line);
        if (!bare.empty() && bare.front() != '#') {
            use(line, number);
        }
    }
}

bool is_plain_name(std::string_view name) {
    return !name.empty() && name.find_first_of(" \t*?[!") == std::string_view::npos;
}

void give_name(std::vector<MacSite>& sites, std::size_t first, std::string_view name,
               SiteKind kind) {
    for (std::size_t i = first; i < sites.size() && is_plain_name(name); ++i) {
        sites[i].name = name;
        sites[i].kind = kind;
    }
}

/// The value of a shell assignment: what stands between quotes, or up to a blank.
std::string_view shell_value(std::string_view rest) {
    if (!rest.empty() && (rest.front() == '"' || rest.front() == '\'')) {
        const std::size_t close = rest.find(rest.front(), 1);
        return rest.substr(1, close == std::string_view::npos ? close : close - 1);
    }
    return rest.substr(0, rest.find_first_of(" \t\r;#"));
}

/// Every "eth-id-MAC" in `value`.
void add_eth_ids(std::string_view text, std::string_view value, std::size_t line,
                 std::vector<MacSite>& sites) {
    constexpr std::string_view word = "eth-id-";
    for (std::size_t at = value.find(word); at != std::string_view::npos;
         at = value.find(word, at + 1)) {
        const std::string_view written = value.substr(at + word.size(), written_mac);
        if (std::optional<std::string> mac = read_mac(written);
            mac && written.size() == written_mac) {
            const std::size_t begin = offset_in(text, written);
            sites.push_back(
                {.begin = begin, .end = begin + written_mac, .line = line, .mac = *std::move(mac)});
        }
    }
}

} // namespace

std::vector<MacSite> sites_in_ifcfg(std::string_view text) {
    std::vector<MacSite> sites;
    std::string_view device;
    std::string_view name;
    each_live_line(text, [&](std::string_view line, std::size_t number) {
        std::string_view bare = trim(line);
        if (bare.starts_with("export ")) {
            bare = trim(bare.substr(7));
        }
        const std::size_t equals = bare.find('=');
        if (equals == std::string_view::npos) {
            return;
        }
        const std::string_view key = bare.substr(0, equals);
        const std::string_view value = shell_value(bare.substr(equals + 1));
        const std::size_t begin = offset_in(text, value);
        if (key == "HWADDR") {
            add_sites(text, begin, begin + value.size(), number, sites);
        } else if (key == "DEVICE") {
            device = value;
        } else if (key == "NAME") {
            name = value;
        } else {
            add_eth_ids(text, value, number, sites);
        }
    });
    const bool by_hwaddr = !sites.empty();
    if (by_hwaddr) {
        give_name(sites, 0, device.empty() ? name : device, SiteKind::finds);
    }
    return sites;
}

std::vector<MacSite> sites_in_keyfile(std::string_view text) {
    std::vector<MacSite> sites;
    std::string_view name;
    for (const IniEntry& entry : parse_ini(text, IniDialect::keyfile)) {
        const bool of_ethernet =
            entry.section_name == "ethernet" || entry.section_name == "802-3-ethernet";
        if (entry.section_name == "connection" && entry.key == "interface-name") {
            name = entry.value;
        } else if (of_ethernet &&
                   (entry.key == "mac-address" || entry.key == "mac-address-denylist" ||
                    entry.key == "mac-address-blacklist")) {
            const std::size_t first = sites.size();
            add_sites(text, entry.begin, entry.begin + entry.value.size(), entry.line, sites);
            if (entry.key != "mac-address") {
                continue;
            }
            for (std::size_t i = first; i < sites.size(); ++i) {
                sites[i].kind = SiteKind::names; // a mark until the name is known
            }
        }
    }
    for (MacSite& site : sites) {
        site.name = site.kind == SiteKind::names && is_plain_name(name) ? name : "";
        site.kind = SiteKind::finds;
    }
    return sites;
}

std::vector<MacSite> sites_in_networkd(std::string_view text) {
    std::vector<MacSite> sites;
    std::string_view given;
    std::string_view matched;
    for (const IniEntry& entry : parse_ini(text, IniDialect::systemd)) {
        if (entry.section_name == "Match" &&
            (entry.key == "MACAddress" || entry.key == "PermanentMACAddress")) {
            add_sites(text, entry.begin, entry.begin + entry.value.size(), entry.line, sites);
        } else if (entry.key == "Name" && entry.section_name == "Link") {
            given = entry.value;
        } else if (entry.key == "Name" && entry.section_name == "Match") {
            matched = entry.value;
        }
    }
    give_name(sites, 0, given.empty() ? matched : given,
              given.empty() ? SiteKind::finds : SiteKind::names);
    return sites;
}

std::vector<MacSite> sites_in_iftab(std::string_view text) {
    std::vector<MacSite> sites;
    each_live_line(text, [&](std::string_view line, std::size_t number) {
        const std::vector<Word> words = words_in(text, line);
        const std::size_t at = words.size() > 2 && words[1].text == "mac" ? 2 : 1;
        if (words.size() <= at) {
            return;
        }
        const std::size_t first = sites.size();
        add_sites(text, words[at].begin, words[at].begin + words[at].text.size(), number, sites);
        give_name(sites, first, words[0].text, SiteKind::names);
    });
    return sites;
}

std::vector<MacSite> sites_in_interfaces(std::string_view text) {
    std::vector<MacSite> sites;
    each_live_line(text, [&](std::string_view line, std::size_t number) {
        const std::vector<Word> words = words_in(text, line);
        const std::string_view verb = words.empty() ? "" : words.front().text;
        if (verb == "map" && words.size() >= 2) {
            add_sites(text, words[1].begin, words[1].begin + words[1].text.size(), number, sites);
        }
        if (verb != "rename" && verb != "auto" && !verb.starts_with("allow-")) {
            return;
        }
        for (const Word& word : words) {
            const std::size_t start = word.text.starts_with('/') ? 1 : 0;
            if (!word.text.substr(start).starts_with("mac/")) {
                continue;
            }
            const std::string_view written = word.text.substr(start + 4);
            const std::size_t end = std::min(written.find('='), written.size());
            const std::size_t begin = offset_in(text, written);
            const std::size_t first = sites.size();
            add_sites(text, begin, begin + end, number, sites);
            give_name(sites, first, end < written.size() ? written.substr(end + 1) : "",
                      verb == "rename" ? SiteKind::names : SiteKind::finds);
        }
    });
    return sites;
}

} // namespace coldspare::fixup
