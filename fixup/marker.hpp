#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// A network card as the server has it and as the standby has it.
struct MarkedNic {
    std::string name;
    std::string old_mac; ///< empty if nobody knows
    std::string mac;
    friend bool operator==(const MarkedNic&, const MarkedNic&) = default;
};

/// How a held service is started: shell lines for the copy while it runs.
struct MarkedHold {
    std::string service;
    std::vector<std::string> ways;    ///< what holds it: "systemd drop-in"
    std::vector<std::string> release; ///< start it now
    std::vector<std::string> restore; ///< let it start at every boot again
    friend bool operator==(const MarkedHold&, const MarkedHold&) = default;
};

struct MarkedFix {
    std::string id;
    std::vector<std::string> files; ///< that it wrote, made or removed, sorted
    friend bool operator==(const MarkedFix&, const MarkedFix&) = default;
};

/// What was done to a copy, left in it as /etc/coldspare-standby.json (docs/FORMATS.md 9): for the
/// runbook that releases its holds, for whoever finds the machine, and for the way back, which
/// turns the map of network cards around.
struct Marker {
    std::vector<MarkedNic> nics;
    std::vector<MarkedHold> holds;
    std::string old_initiator_name; ///< empty: there was none
    std::string initiator_name;     ///< empty: it is the server's still
    std::vector<MarkedFix> fixes;
    friend bool operator==(const Marker&, const Marker&) = default;
};

inline constexpr std::string_view marker_path = "/etc/coldspare-standby.json";

/// As JSON for people and programs; and back, or nothing if it is none of ours.
[[nodiscard]] std::string encode_marker(const Marker& marker);
[[nodiscard]] std::optional<Marker> parse_marker(std::string_view text);

/// What `older` and then `newer` did. What the server had before is as `older` says: by the time
/// of `newer` it was changed.
[[nodiscard]] Marker merged(const Marker& older, const Marker& newer);

} // namespace coldspare::fixup
