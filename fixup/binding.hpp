#pragma once

#include "fixup/overlay.hpp"
#include "fixup/repair.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// One disk of a standby: the clone, and the overlay over it.
struct Layer {
    std::string base;      ///< as the overlay names it
    std::string base_root; ///< root digest of the clone, or empty if nobody knew it
    FileStamp base_stamp;
    std::string overlay; ///< the bare name
    FileStamp overlay_stamp;
    std::string written; ///< in place: a sum over what was written, sixteen hex digits
    friend bool operator==(const Layer&, const Layer&) = default;
};

/// What stands beside each overlay of a standby, IMAGE.fixup.json: which clones they were made for,
/// how they looked when they were finished, and the report. It is written last: an overlay without
/// it is not finished. Before that the same stands in IMAGE.fixup.json.next of the first disk, so
/// that after a crash the next run knows its own work from what a virtual machine wrote.
struct Binding {
    std::string created;
    std::string program; ///< "coldspare 0.1.0"
    std::vector<Layer> layers;
    std::string accelerator;
    std::string root; ///< as asked for, or empty
    Wishes wishes;
    RepairReport report;
    friend bool operator==(const Binding&, const Binding&) = default;
};

/// "x.fixup.json" for the overlay "x.fixup.qcow2"; "y.json" for any other "y".
[[nodiscard]] std::filesystem::path binding_path(const std::filesystem::path& overlay);

/// "x.fixup.json.next".
[[nodiscard]] std::filesystem::path pending_path(const std::filesystem::path& overlay);

/// How `overlay` looked when it was finished, if the binding is about it.
[[nodiscard]] std::optional<FileStamp> finished_stamp(const std::optional<Binding>& binding,
                                                      const std::filesystem::path& overlay);

/// The file's content, and back. parse_binding() throws Error on anything else.
[[nodiscard]] std::string encode_binding(const Binding& binding);
[[nodiscard]] Binding parse_binding(std::string_view content);

/// Reads it; nothing if there is none. Throws Error that names the file if it is damaged.
[[nodiscard]] std::optional<Binding> read_binding(const std::filesystem::path& path);

} // namespace coldspare::fixup
