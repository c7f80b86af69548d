#pragma once

#include "fixup/overlay.hpp"
#include "fixup/repair.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// What stands beside an overlay, IMAGE.fixup.json: which clone it was made for, how it looked when
/// it was finished, and the report. It is written last: an overlay without it is not finished.
struct Binding {
    std::string created;
    std::string program;   ///< "coldspare 0.1.0"
    std::string base;      ///< as the overlay names it
    std::string base_root; ///< root digest of the clone, or empty if nobody knew it
    FileStamp base_stamp;
    FileStamp overlay_stamp;
    std::string accelerator;
    Wishes wishes;
    RepairReport report;
    friend bool operator==(const Binding&, const Binding&) = default;
};

/// "x.fixup.json" for the overlay "x.fixup.qcow2"; "y.json" for any other "y".
[[nodiscard]] std::filesystem::path binding_path(const std::filesystem::path& overlay);

/// The file's content, and back. parse_binding() throws Error on anything else.
[[nodiscard]] std::string encode_binding(const Binding& binding);
[[nodiscard]] Binding parse_binding(std::string_view content);

/// Reads it; nothing if there is none. Throws Error that names the file if it is damaged.
[[nodiscard]] std::optional<Binding> read_binding(const std::filesystem::path& path);

} // namespace coldspare::fixup
