#include "fixup/mentions.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "fixup/marker.hpp"
#include "fixup/old_macs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_file = std::uint64_t{1} << 20;
constexpr std::size_t most_files = 100;
constexpr std::size_t most_warnings = 50;

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_word_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_';
}

/// The three ways to write an address.
std::vector<std::string> notations(const std::string& mac) {
    std::string hyphens = mac;
    std::ranges::replace(hyphens, ':', '-');
    std::string bare = mac;
    std::erase(bare, ':');
    return {mac, hyphens, bare};
}

bool mentions(const std::string& line, const std::string& written) {
    for (std::size_t at = line.find(written); at != std::string::npos;
         at = line.find(written, at + 1)) {
        const std::size_t end = at + written.size();
        const char before = at == 0 ? ' ' : line[at - 1];
        const char after = end == line.size() ? ' ' : line[end];
        // "00:00:1e:67:aa:bb:cc" is longer, as InfiniBand has them; "eth-id-00:1e:..." is not.
        const bool longer = before == ':' && at >= 2 && is_word_character(line[at - 2]);
        if (!is_word_character(before) && !is_word_character(after) && !longer) {
            return true;
        }
    }
    return false;
}

std::set<std::string> gone_macs(const Facts& facts, const Wishes& wishes) {
    const OldMacs old = old_macs(facts.files, facts.inventory, wishes.nics);
    std::set<std::string> macs;
    for (const NicBinding& nic : wishes.nics) {
        if (const auto found = old.by_name.find(nic.name); found != old.by_name.end()) {
            macs.insert(found->second.begin(), found->second.end());
        }
    }
    for (const NicBinding& nic : wishes.nics) {
        macs.erase(nic.mac);
    }
    return macs;
}

/// Paths that grep lists; none if there is no grep.
std::vector<std::string> files_with(Guest& guest, const std::set<std::string>& macs) {
    std::string line = "grep -rIlFi";
    for (const std::string& mac : macs) {
        for (const std::string& written : notations(mac)) {
            line += " -e " + written;
        }
    }
    line += fmt::format(" /etc /var/lib/iscsi 2>/dev/null | head -n {}", most_files);
    std::vector<std::string> paths;
    const CommandOutput output = guest.run(line);
    for (const std::string_view path : split_lines(output.text)) {
        if (path.starts_with('/') && paths.size() < most_files) {
            paths.emplace_back(path);
        }
    }
    std::ranges::sort(paths);
    return paths;
}

/// What the plan makes of files: their new content, or nothing if they go.
std::map<std::string, std::optional<std::string>> results_of(const Plan& plan) {
    std::map<std::string, std::optional<std::string>> results;
    for (const FixPlan& fix : plan.fixes) {
        for (const FileEdit& edit : fix.edits) {
            if (edit.lifetime == Lifetime::lasting && edit.kind != EditKind::copy) {
                results[edit.path] =
                    edit.kind == EditKind::write ? std::optional(edit.after) : std::nullopt;
            }
        }
    }
    return results;
}

std::string content_of(Guest& guest, const std::string& path) {
    const FileStatus status = guest.status(path);
    const bool fits = status.kind == FileKind::file && status.size <= largest_file;
    return fits ? guest.read(path, largest_file) : std::string();
}

} // namespace

std::vector<std::size_t> lines_with_macs(std::string_view text, const std::set<std::string>& macs) {
    std::vector<std::size_t> numbers;
    std::size_t number = 0;
    for (const std::string_view raw : split_lines(text)) {
        ++number;
        std::string line(trim(raw));
        if (line.empty() || line[0] == '#' || line[0] == ';' || line[0] == '!') {
            continue;
        }
        std::ranges::transform(line, line.begin(), lower);
        const bool mentioned = std::ranges::any_of(macs, [&line](const std::string& mac) {
            return std::ranges::any_of(notations(mac), [&line](const std::string& written) {
                return mentions(line, written);
            });
        });
        if (mentioned) {
            numbers.push_back(number);
        }
    }
    return numbers;
}

std::vector<std::string> mention_warnings(Guest& guest, const Facts& facts, const Wishes& wishes,
                                          const Plan& plan) {
    const std::set<std::string> macs = gone_macs(facts, wishes);
    std::vector<std::string> warnings;
    if (macs.empty() || !facts.system.runs_programs) {
        return warnings;
    }
    const std::map<std::string, std::optional<std::string>> results = results_of(plan);
    std::size_t more = 0;
    for (const std::string& path : files_with(guest, macs)) {
        if (path == marker_path) {
            continue; // it is there to say so
        }
        const auto planned = results.find(path);
        const std::string content =
            planned == results.end() ? content_of(guest, path) : planned->second.value_or("");
        for (const std::size_t number : lines_with_macs(content, macs)) {
            if (warnings.size() == most_warnings) {
                ++more;
                continue;
            }
            warnings.push_back(
                fmt::format("{}:{}: mentions the address of an old card and stays as it is; see "
                            "whether the VM's is meant",
                            printable(path), number));
        }
    }
    if (more > 0) {
        warnings.push_back(fmt::format("{} more lines mention addresses of old cards", more));
    }
    return warnings;
}

} // namespace coldspare::fixup
