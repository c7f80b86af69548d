#include "fixup/services.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace coldspare::fixup {

namespace {

constexpr std::size_t longest_name = 255;
constexpr std::size_t most_aliases = 5; ///< on the way from one name to another
constexpr std::string_view service_suffix = ".service";

/// Where units lie, the first that has one counts.
constexpr std::array<std::string_view, 4> unit_directories{
    "/etc/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system",
    "/usr/lib/systemd/system"};

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1); // npos + 1 is 0
}

const GuestFile* find_unit(const FileTree& files, std::string_view unit) {
    for (const std::string_view directory : unit_directories) {
        if (const GuestFile* file = files.find(fmt::format("{}/{}", directory, unit))) {
            return file;
        }
    }
    return nullptr;
}

bool is_mask(const GuestFile& file) {
    return file.status.kind == FileKind::symlink && file.content == "/dev/null";
}

/// "postgresql@.service" for "postgresql@15-main", else nothing.
std::string template_of(std::string_view stem) {
    const std::size_t at = stem.find('@');
    return at == std::string_view::npos ? ""
                                        : fmt::format("{}@{}", stem.substr(0, at), service_suffix);
}

std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1,
                               diagonal + (a[i - 1] == b[j - 1] ? std::size_t{0} : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

std::set<std::string> known_services(const FileTree& files) {
    std::set<std::string> names;
    const auto add = [&](std::string_view directory, std::string_view suffix) {
        for (const std::string& path : files.in(directory, suffix)) {
            std::string_view name = base_name(path);
            name.remove_suffix(suffix.size());
            if (complaint_about_service(name).empty() && !name.ends_with('@')) {
                names.insert(std::string(name));
            }
        }
    };
    for (const std::string_view directory : unit_directories) {
        add(directory, service_suffix);
    }
    add("/etc/init.d", "");
    add("/etc/init", ".conf");
    add("/etc/xinetd.d", "");
    return names;
}

} // namespace

std::string complaint_about_service(std::string_view name) {
    if (name.empty() || name.size() > longest_name) {
        return fmt::format("has {} bytes, and 1 to {} are allowed", name.size(), longest_name);
    }
    if (name.starts_with('-') || name.starts_with('.')) {
        return "begins with '-' or '.'";
    }
    const bool plain = std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("@._:-").find(c) != std::string_view::npos;
    });
    return plain ? "" : "has other characters than letters, digits and '@._:-'";
}

Init init_of(const FileTree& files) {
    const auto there = [&](std::string_view path) { return files.exists(path); };
    constexpr std::array<std::string_view, 3> programs{"/lib/systemd/systemd",
                                                       "/usr/lib/systemd/systemd", "/bin/systemd"};
    Init init{.systemd = std::ranges::any_of(programs, there), .scripts = true};
    for (const char* path : {"/sbin/init", "/usr/sbin/init"}) {
        const GuestFile* first = files.find(path);
        if (first != nullptr && first->status.kind == FileKind::symlink &&
            base_name(first->content) == "systemd") {
            init = {.systemd = true, .scripts = false};
        }
    }
    return init;
}

UnitName find_units(const FileTree& files, std::string_view service) {
    UnitName result{.stem = std::string(service)};
    for (std::size_t i = 0; i < most_aliases; ++i) {
        const GuestFile* file = find_unit(files, result.stem + std::string(service_suffix));
        if (file == nullptr || file->status.kind != FileKind::symlink || is_mask(*file) ||
            !file->content.ends_with(service_suffix)) {
            break;
        }
        std::string_view target = base_name(file->content);
        target.remove_suffix(service_suffix.size());
        if (!complaint_about_service(target).empty()) {
            break; // nothing that a file could be named after
        }
        result.stem = target;
    }
    if (const std::string unit = template_of(result.stem); !unit.empty()) {
        if (find_unit(files, unit) != nullptr) {
            result.units.push_back(result.stem + std::string(service_suffix));
        }
        return result;
    }
    for (const std::string_view suffix :
         {".service", "@.service", ".socket", "@.socket", ".timer", ".path"}) {
        const std::string unit = result.stem + std::string(suffix);
        const GuestFile* file = find_unit(files, unit);
        if (file != nullptr && is_mask(*file)) {
            result.masked = result.masked || suffix == service_suffix;
        } else if (file != nullptr) {
            result.units.push_back(unit);
        }
    }
    return result;
}

std::vector<std::string> enabled_units(const FileTree& files,
                                       const std::vector<std::string>& units) {
    std::set<std::string> enabled;
    for (const std::string& path : files.below("/etc/systemd/system")) {
        const std::string_view directory = std::string_view(path).substr(0, path.rfind('/'));
        if (!directory.ends_with(".wants") && !directory.ends_with(".requires")) {
            continue;
        }
        const std::string name(base_name(path));
        const std::size_t at = name.find('@');
        const std::string pattern =
            at == std::string::npos ? name : name.substr(0, at + 1) + name.substr(name.rfind('.'));
        for (const std::string& unit : {name, pattern}) {
            if (std::ranges::find(units, unit) != units.end()) {
                enabled.insert(name);
            }
        }
    }
    return {enabled.begin(), enabled.end()};
}

std::string find_script(const FileTree& files, std::string_view service) {
    std::string name(service);
    for (std::size_t i = 0; i < most_aliases; ++i) {
        const GuestFile* file = files.find("/etc/init.d/" + name);
        if (file == nullptr) {
            return {};
        }
        const std::string_view target = base_name(file->content);
        if (file->status.kind != FileKind::symlink || !complaint_about_service(target).empty() ||
            !files.exists(fmt::format("/etc/init.d/{}", target))) {
            break;
        }
        name = target;
    }
    return name;
}

std::vector<std::string> similar_services(const FileTree& files, std::string_view service) {
    constexpr std::size_t most = 3;
    std::vector<std::pair<std::size_t, std::string>> ranked;
    for (const std::string& name : known_services(files)) {
        const bool inside =
            name.find(service) != std::string::npos || service.find(name) != std::string_view::npos;
        // What begins alike is more alike than what only has as many letters: cyrus-imapd,
        // cyrus2.2.
        const auto alike =
            static_cast<std::size_t>(std::ranges::mismatch(name, service).in1 - name.begin());
        const std::size_t far = distance(name, service);
        if (inside || alike >= 4 || far * 2 <= std::max(name.size(), service.size())) {
            ranked.emplace_back(inside ? 0 : far - std::min(far, alike), name);
        }
    }
    std::ranges::sort(ranked);
    std::vector<std::string> names;
    for (const auto& [rank, name] : ranked) {
        if (names.size() < most) {
            names.push_back(name);
        }
    }
    return names;
}

} // namespace coldspare::fixup
