#include "fixup/lvm_settings.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_filters = 16;
constexpr std::size_t most_patterns = 1000;
constexpr std::size_t longest_pattern = 200;

/// The first patterns of a filter that hid the VM's disks: all on virtio, and on SCSI so many as
/// the copy has. What comes later, volumes on the network, stays hidden if it was.
std::string vm_patterns(std::size_t disks) {
    const char last = static_cast<char>('a' + std::clamp<std::size_t>(disks, 1, 26) - 1);
    return fmt::format(R"("a|^/dev/vd[a-z]|", "a|^/dev/sd[a-{0}]$|", "a|^/dev/sd[a-{0}][0-9]|", )",
                       last);
}

/// One element of a pattern: the characters that it takes, and whether any number of them.
struct Element {
    std::string any_of; ///< empty: every character
    bool inverted = false;
    bool repeated = false;
    [[nodiscard]] bool takes(char c) const {
        return any_of.empty() || (any_of.find(c) != std::string::npos) != inverted;
    }
};

/// "[a-z]" from `at` (behind '[') on; leaves `at` behind ']'. Empty if it does not end.
std::string characters_in(std::string_view regex, std::size_t& at, bool& inverted) {
    std::string set;
    inverted = at < regex.size() && regex[at] == '^';
    at += inverted ? 1 : 0;
    for (; at < regex.size() && regex[at] != ']'; ++at) {
        if (at + 2 < regex.size() && regex[at + 1] == '-' && regex[at + 2] != ']') {
            for (int c = regex[at]; c <= regex[at + 2]; ++c) {
                set += static_cast<char>(c);
            }
            at += 2;
        } else {
            set += regex[at];
        }
    }
    return at++ < regex.size() ? set : "";
}

/// The elements of a simple expression; nothing if it has groups, choices or the like.
std::optional<std::vector<Element>> elements_of(std::string_view regex) {
    std::vector<Element> elements;
    if (regex.size() > longest_pattern) {
        return std::nullopt;
    }
    for (std::size_t at = 0; at < regex.size();) {
        const char c = regex[at++];
        Element element;
        if (c == '[') {
            element.any_of = characters_in(regex, at, element.inverted);
            if (element.any_of.empty()) {
                return std::nullopt;
            }
        } else if (std::string_view("()|{}\\^$+?*").find(c) != std::string_view::npos) {
            return std::nullopt;
        } else if (c != '.') {
            element.any_of = c;
        }
        if (at < regex.size() && regex[at] == '*') {
            element.repeated = true;
            ++at;
        }
        elements.push_back(std::move(element));
    }
    return elements;
}

/// Whether a simple expression occurs in `text`; nothing if it is not understood. All positions
/// are followed at once, so that no pattern takes long.
std::optional<bool> matches(std::string_view regex, std::string_view text) {
    const bool from_start = regex.starts_with('^');
    const bool to_end = regex.ends_with('$');
    regex.remove_prefix(from_start ? 1 : 0);
    regex.remove_suffix(to_end && !regex.empty() ? 1 : 0);
    const std::optional<std::vector<Element>> elements = elements_of(regex);
    if (!elements) {
        return std::nullopt;
    }
    std::vector<bool> reached(text.size() + 1, !from_start);
    reached[0] = true;
    for (const Element& element : *elements) {
        std::vector<bool> next(text.size() + 1, false);
        for (std::size_t at = 0; at <= text.size(); ++at) {
            if (element.repeated) {
                const bool goes_on = at > 0 && next[at - 1] && element.takes(text[at - 1]);
                next[at] = reached[at] || goes_on;
            } else if (at < text.size() && reached[at] && element.takes(text[at])) {
                next[at + 1] = true;
            }
        }
        reached = std::move(next);
    }
    return to_end ? reached.back() : std::ranges::find(reached, true) != reached.end();
}

/// The text without comments, which become blanks: offsets stay.
std::string without_comments(std::string_view text) {
    std::string result(text);
    bool quoted = false;
    bool comment = false;
    for (char& c : result) {
        quoted = c == '\n' ? false : c == '"' && !comment ? !quoted : quoted;
        comment = c == '\n' ? false : comment || (c == '#' && !quoted);
        c = comment ? ' ' : c;
    }
    return result;
}

std::vector<std::string> strings_until_bracket(std::string_view text, std::size_t at) {
    std::vector<std::string> strings;
    while (at < text.size() && text[at] != ']' && strings.size() < most_patterns) {
        if (text[at] != '"') {
            ++at;
            continue;
        }
        const std::size_t end = std::min(text.find('"', at + 1), text.size());
        strings.emplace_back(text.substr(at + 1, end - at - 1));
        at = end + 1;
    }
    return strings;
}

/// Whether the word at `at` is the name of a setting that is followed by "= [".
std::optional<std::size_t> array_behind(std::string_view text, std::size_t at,
                                        std::string_view name) {
    constexpr std::string_view blanks = " \t\r\n";
    if (at > 0 && std::string_view(" \t\r\n{/").find(text[at - 1]) == std::string_view::npos) {
        return std::nullopt;
    }
    std::size_t next = text.find_first_not_of(blanks, at + name.size());
    if (next == std::string_view::npos || text[next] != '=') {
        return std::nullopt;
    }
    next = text.find_first_not_of(blanks, next + 1);
    return next == std::string_view::npos || text[next] != '[' ? std::nullopt
                                                               : std::optional(next + 1);
}

/// A field of a line of the devices file: what follows "PVID=".
std::optional<Piece> field(const TextLine& line, std::string_view name) {
    for (const Piece& word : words_in(line.piece)) {
        if (word.text.starts_with(name)) {
            return part_of(word, name.size());
        }
    }
    return std::nullopt;
}

/// The physical volume of the copy with this PVID, which has no hyphens.
const GuestVolume* physical_volume(const std::vector<GuestVolume>& volumes, std::string_view pvid) {
    const auto found = std::ranges::find_if(volumes, [pvid](const GuestVolume& volume) {
        std::string uuid = volume.uuid;
        std::erase(uuid, '-');
        return volume.format == "LVM2_member" && uuid == pvid;
    });
    return found == volumes.end() ? nullptr : &*found;
}

/// A filter by what is on a disk (lvm-pv-uuid) hides none of them, whatever they are called.
bool hides(const LvmFilter& filter) {
    constexpr std::array<std::string_view, 4> disks{"/dev/vda", "/dev/vda2", "/dev/sda",
                                                    "/dev/sda2"};
    const bool by_content = std::ranges::any_of(filter.patterns, [](const std::string& pattern) {
        return pattern.starts_with('a') && (pattern.find("lvm-pv-uuid") != pattern.npos ||
                                            pattern.find("by-partuuid") != pattern.npos);
    });
    return !by_content && !std::ranges::all_of(disks, [&filter](std::string_view disk) {
        return lets_through(filter, disk);
    });
}

std::string vm_name(const GuestVolume& volume) {
    return volume.disk && volume.partition && *volume.disk < 26
               ? fmt::format("/dev/vd{}{}", static_cast<char>('a' + *volume.disk),
                             *volume.partition)
               : "/dev/vda";
}

} // namespace

std::vector<LvmFilter> lvm_filters(std::string_view text) {
    const std::string bare = without_comments(text);
    std::vector<LvmFilter> filters;
    for (const char* name : {"filter", "global_filter"}) {
        for (std::size_t at = bare.find(name);
             at != std::string::npos && filters.size() < most_filters;
             at = bare.find(name, at + 1)) {
            if (const std::optional<std::size_t> first = array_behind(bare, at, name)) {
                const auto lines =
                    std::count(bare.begin(), bare.begin() + static_cast<long>(at), '\n');
                filters.push_back({.name = name,
                                   .line = static_cast<unsigned>(lines) + 1,
                                   .first = *first,
                                   .patterns = strings_until_bracket(bare, *first)});
            }
        }
    }
    return filters;
}

bool lets_through(const LvmFilter& filter, std::string_view device) {
    for (const std::string& pattern : filter.patterns) {
        if (pattern.size() < 3) {
            continue;
        }
        const std::size_t end = pattern.rfind(pattern[1]);
        const std::optional<bool> match =
            end < 2 ? std::nullopt : matches(std::string_view(pattern).substr(2, end - 2), device);
        const bool accepts = pattern[0] == 'a';
        if (match.value_or(!accepts)) {
            return accepts;
        }
    }
    return true;
}

bool hides_vm_disks(std::string_view text) {
    const std::vector<LvmFilter> filters = lvm_filters(text);
    return std::ranges::any_of(filters, hides);
}

std::string with_vm_disks(std::string_view text, std::size_t disks) {
    std::vector<Replacement> replacements;
    for (const LvmFilter& filter : lvm_filters(text)) {
        if (hides(filter)) {
            const std::size_t first = text.find_first_not_of(" \t\r\n", filter.first);
            replacements.push_back({std::min(first, text.size()), 0, vm_patterns(disks)});
        }
    }
    std::string after = replaced(text, std::move(replacements));
    return hides_vm_disks(after) ? std::string(text) : after;
}

DevicesRewrite rewrite_devices_file(std::string_view text, const std::vector<GuestVolume>& volumes,
                                    Elsewhere network) {
    DevicesRewrite result;
    std::vector<Replacement> replacements;
    for (const TextLine& line : text_lines(text)) {
        const std::optional<Piece> type = field(line, "IDTYPE=");
        const std::optional<Piece> id = field(line, "IDNAME=");
        const std::optional<Piece> pvid = field(line, "PVID=");
        if (trim(line.piece.text).starts_with('#') || !type || !id || !pvid) {
            continue;
        }
        const GuestVolume* volume = physical_volume(volumes, pvid->text);
        ++(volume == nullptr ? result.elsewhere : result.cloned);
        // What lies on an array, LUKS or a logical volume is known by that, wherever it is.
        if (volume == nullptr || type->text == "devname" || type->text.ends_with("_uuid")) {
            continue;
        }
        replacements.push_back({type->begin, type->text.size(), "devname"});
        replacements.push_back({id->begin, id->text.size(), vm_name(*volume)});
        if (const std::optional<Piece> name = field(line, "DEVNAME=")) {
            replacements.push_back({name->begin, name->text.size(), vm_name(*volume)});
        }
    }
    const bool is_fence = result.elsewhere != 0 || network == Elsewhere::volumes_to_come;
    result.what = result.cloned == 0 ? DevicesFile::keep
                  : is_fence         ? DevicesFile::rewrite
                                     : DevicesFile::remove;
    result.after = replaced(text, std::move(replacements));
    return result;
}

} // namespace coldspare::fixup
