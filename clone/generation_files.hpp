#pragma once

#include "clone/manifest.hpp"

#include <filesystem>
#include <optional>
#include <string_view>

/// The files of an image's generations (docs/FORMATS.md 7), and what is done with one of them.
/// What changes a name is durable when it returns. Throw Error.
namespace coldspare::clone::generation {

namespace fs = std::filesystem;

inline constexpr std::string_view suffix = ".gen";

/// N of "IMAGE.genN", or 0. A number of more than nine digits is none of ours.
[[nodiscard]] unsigned number_of(const fs::path& image, const fs::path& generation);

/// The directory that a file lies in, or will.
[[nodiscard]] fs::path directory_of(const fs::path& path);

/// The generation that a link names; empty if it names anything else, or is none.
[[nodiscard]] fs::path linked_generation(const fs::path& image);

/// Makes `link` name what lies beside it, whatever it was before.
void replace_link(const fs::path& link, const fs::path& beside);

void rename_durably(const fs::path& from, const fs::path& to);

/// A second name for a file, if there is one. Another file by that name is an Error.
void name_twice(const fs::path& path, const fs::path& second);

[[nodiscard]] fs::path overlay_of(const fs::path& image);
[[nodiscard]] fs::path report_of(const fs::path& image);
/// What a fixup leaves that was killed while it put its overlay in place.
[[nodiscard]] fs::path pending_report_of(const fs::path& image);
/// What is there if the generation was given up: by a rollback, or to be removed.
[[nodiscard]] fs::path mark_of(const fs::path& generation);
void give_up(const fs::path& generation);

/// Whether a virtual machine may have written to the overlay: fixup writes the report last.
[[nodiscard]] bool is_written_to(const fs::path& overlay, const fs::path& report);

/// Nothing where it is damaged, too: then nobody knows whose clone it is.
[[nodiscard]] std::optional<Manifest> readable_manifest(const fs::path& generation);

/// Whether a file has a byte that was ever written.
[[nodiscard]] bool has_data(const fs::path& path);

} // namespace coldspare::clone::generation
