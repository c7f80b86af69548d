#pragma once

#include "clone/identity.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// A machine that this one is paired with (docs/FORMATS.md 6).
struct Pin {
    std::string name;
    Fingerprint fingerprint{};
    std::string paired; ///< when, RFC 3339: for people
    std::string peer;   ///< address last seen: for people
    bool operator==(const Pin&) const = default;
};

/// Throws Error (2) unless `name` is 1 to 64 of A-Z a-z 0-9 . _ - and begins with neither '.' nor
/// '-'.
void check_pin_name(std::string_view name);

[[nodiscard]] std::string encode(const Pin& pin);
/// Throws Error if a member is missing, of another type or beyond its limit.
[[nodiscard]] Pin parse_pin(std::string_view content);

/// The pins that a state directory holds, one file each. Names are checked by every call.
class Pins {
public:
    explicit Pins(std::filesystem::path state_dir);

    /// Whether there is one of that name, good or damaged.
    [[nodiscard]] bool known(std::string_view name) const;
    /// Nothing if there is none of that name. Throws Error if its file is damaged.
    [[nodiscard]] std::optional<Pin> find(std::string_view name) const;
    /// Keeps `pin`, durably, in place of one with the same name.
    void store(const Pin& pin) const;
    /// Whether there was one.
    bool forget(std::string_view name) const;
    /// All, by name.
    [[nodiscard]] std::vector<Pin> list() const;

private:
    [[nodiscard]] std::filesystem::path file_of(std::string_view name) const;

    std::filesystem::path directory_;
};

} // namespace coldspare::clone
