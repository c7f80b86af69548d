#pragma once

#include "fixup/appliance/appliance.hpp"
#include "fixup/guest.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// What is in the directories of the copy. A question to the appliance takes some 15 ms where it is
/// emulated, and fixup asks for hundreds of files, most of which are not there: so a directory is
/// read once, with all that is in it, and the next questions about it are answered from here.
/// Whoever changes something says forget().
class Listings {
public:
    explicit Listings(Appliance& appliance) : appliance_(appliance) {}

    /// As Guest::status() and Guest::names_in(). Throws Error.
    [[nodiscard]] FileStatus status(const std::string& path);
    [[nodiscard]] std::vector<std::string> names_in(const std::string& directory);

    void forget() { known_.clear(); }

private:
    using Directory = std::map<std::string, FileStatus, std::less<>>;

    [[nodiscard]] const std::optional<Directory>& look(const std::string& directory);
    [[nodiscard]] std::optional<Directory> read(const std::string& directory) const;
    [[nodiscard]] bool is_directory(const std::string& path);
    [[nodiscard]] FileStatus ask(const std::string& path) const;

    Appliance& appliance_;
    std::map<std::string, std::optional<Directory>> known_; ///< nothing: there is no such directory
};

} // namespace coldspare::fixup
