#pragma once

#include "fixup/file_tree.hpp"

#include <map>
#include <string>

namespace coldspare::fixup {

/// Where udev's rules of this machine stand.
inline constexpr const char* rules_directory = "/etc/udev/rules.d";

/// Path and content of the rules files that can be read: ordinary files of at most 20000 lines.
[[nodiscard]] std::map<std::string, std::string> readable_rules(const FileTree& files);

/// The file that takes a rule which no file has yet: the one where the system's own generator
/// writes, or 70-persistent-net.rules; where that was made unusable on purpose (a directory, a
/// link), 70-coldspare-net.rules.
[[nodiscard]] std::string file_for_new_rules(const FileTree& files);

} // namespace coldspare::fixup
