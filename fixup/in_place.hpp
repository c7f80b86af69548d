#pragma once

#include "fixup/fixup.hpp"

#include <filesystem>
#include <stop_token>
#include <vector>

// Devices cannot have overlays that a virtual machine would start from. The work is done in one
// all the same; when everything is proved, what it changed is written to the device:
//
//     overlay made, mended and checked    nothing of the device has changed
//     NAME.undo written and flushed       what stood where the overlay has something
//     overlay written to the device       killed here: the next run puts back, and starts again
//     NAME.json written, overlay removed  done; --undo puts back
//
// The undo file belongs to one clone (its root digest): after a re-clone it is worth nothing, and
// goes. NAME.json has a sum over what was written: once a machine has run from the device, nothing
// is put back any more.

namespace coldspare::fixup {

/// run_fixup() for Place::in_place. `overlay` of each image says where its files stand and must be
/// there.
[[nodiscard]] FixupResult fix_in_place(const FixupRequest& request, const NoteCallback& note,
                                       std::stop_token stop);

/// undo_fixup() for Place::in_place: returns the devices that were put back. Throws Error: refused
/// (4) if somebody wrote to one since.
std::vector<std::filesystem::path> undo_in_place(const std::vector<ImageRequest>& images);

} // namespace coldspare::fixup
