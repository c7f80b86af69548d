// Which standbys there are: files in the configuration directory.
#include "base/config.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/nearest_word.hpp"
#include "base/text.hpp"
#include "standby/standby_file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::standby {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t longest_name = 64;
constexpr std::string_view suffix = ".toml";

} // namespace

StandbyFile read_standby_file(const fs::path& config_directory, std::string_view name) {
    if (!is_standby_name(name)) {
        throw usage_error(fmt::format("'{}' is no name of a standby", printable(name)),
                          "names have 1 to 64 letters, digits, '-', '_' and '.'");
    }
    const fs::path path = config_directory / std::string(name).append(suffix);
    std::error_code none;
    if (!fs::exists(path, none)) {
        const std::vector<std::string> names = standby_names(config_directory);
        const std::string_view near = nearest_word(name, {names.begin(), names.end()});
        throw usage_error(
            fmt::format("there is no standby '{}': '{}' does not exist", name, path.string()),
            near.empty() ? fmt::format("make one: coldspare standby init {}", name)
                         : fmt::format("did you mean '{}'?", near));
    }
    return parse_standby_file(path, read_file(path, largest_config));
}

std::vector<std::string> standby_names(const fs::path& config_directory) {
    std::vector<std::string> names;
    std::error_code failed;
    for (fs::directory_iterator entry(config_directory, failed), end; !failed && entry != end;
         entry.increment(failed)) {
        const std::string file = entry->path().filename().string();
        const std::string name = file.substr(0, file.size() - std::min(file.size(), suffix.size()));
        std::error_code none;
        if (file.ends_with(suffix) && is_standby_name(name) && entry->is_regular_file(none)) {
            names.push_back(name);
        }
    }
    std::ranges::sort(names);
    return names;
}

bool is_standby_name(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && name.size() <= longest_name && plain(name.front()) &&
           !name.ends_with(".runbook") && std::ranges::all_of(name, [plain](char c) {
               return plain(c) || c == '-' || c == '_' || c == '.';
           });
}

} // namespace coldspare::standby
