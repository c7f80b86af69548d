#include "fixup/rules_files.hpp"

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::ptrdiff_t most_lines = 20000;
constexpr const char* usual_file = "/etc/udev/rules.d/70-persistent-net.rules";
constexpr const char* own_file = "/etc/udev/rules.d/70-coldspare-net.rules";

} // namespace

std::map<std::string, std::string> readable_rules(const FileTree& files) {
    std::map<std::string, std::string> rules;
    for (const std::string& path : files.in(rules_directory, ".rules")) {
        const std::string* text = files.text(path);
        if (text != nullptr && std::ranges::count(*text, '\n') <= most_lines) {
            rules[path] = *text;
        }
    }
    return rules;
}

std::string file_for_new_rules(const FileTree& files) {
    const std::map<std::string, std::string> rules = readable_rules(files);
    constexpr std::array<const char*, 3> usual{usual_file,
                                               "/etc/udev/rules.d/z25_persistent-net.rules",
                                               "/etc/udev/rules.d/30-net_persistent_names.rules"};
    for (const char* path : usual) {
        if (rules.contains(path)) {
            return path;
        }
    }
    for (const auto& [path, content] : rules) {
        if (path.find("persistent-net") != std::string::npos &&
            path.find("generator") == std::string::npos) {
            return path;
        }
    }
    return files.exists(usual_file) ? own_file : usual_file;
}

} // namespace coldspare::fixup
