#pragma once

#include "fixup/accelerator.hpp"
#include "fixup/repair.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// One disk of the standby.
struct ImageRequest {
    std::filesystem::path image;   ///< the clone, raw
    std::filesystem::path overlay; ///< empty: "IMAGE.fixup.qcow2"
    std::string base_root;         ///< the clone's root digest as its manifest has it, or empty
};

/// Where the changes go.
enum class Place {
    overlay,  ///< into a qcow2 file over each image
    in_place, ///< into the disks themselves, which are devices; what was there is kept
};

/// What to fix, and for which virtual machine.
struct FixupRequest {
    Place place = Place::overlay;
    std::vector<ImageRequest> images; ///< in the order of the server's disks
    Wishes wishes;
    std::optional<Inventory> inventory;      ///< of the server while it ran
    std::string root;                        ///< which system, where the disks have several
    std::vector<std::filesystem::path> keys; ///< files with a passphrase for LUKS each
    Depth depth = Depth::mend;       ///< Depth::look: say what would be done and write nothing
    std::string program;             ///< "coldspare 0.1.0", for the report
    std::filesystem::path appliance; ///< the coldspare-appliance program
    std::optional<Accelerator> accelerator; ///< nothing: a probe finds out
    std::chrono::seconds timeout{1800};     ///< for each start of the appliance
};

/// What came of it.
struct FixupResult {
    bool changed = false; ///< whether overlays were made
    std::vector<std::filesystem::path> overlays;
    std::vector<std::string> base_roots;
    Accelerator accelerator = Accelerator::tcg;
    RepairReport report;
};

/// Makes the copy bootable as a virtual machine, in a qcow2 overlay over each untouched clone, and
/// writes the report beside it (fixup/binding.hpp). Overlays that are bound to these very clones
/// and wishes and need nothing stay as they are, byte for byte. On any error, and when `stop` asks,
/// the new overlays are removed and older ones stay. A run that was killed leaves nothing that the
/// next one does not replace. Blocks, for minutes without KVM; `note` is called from this thread
/// with what happens meanwhile.
///
/// Throws Error: refused (4) if an image is in use or not raw, or if an overlay in the way was
/// written to by a virtual machine; `locked` (5); failed (1) if something essential cannot be
/// fixed; usage (2) if an image is named twice.
///
/// With Place::in_place the overlay is only where the work is done: what it has is then written to
/// the device, after the bytes that were there were saved beside it (fixup/undo_file.hpp). A run
/// that is killed in between is put back by the next one.
[[nodiscard]] FixupResult run_fixup(const FixupRequest& request, const NoteCallback& note,
                                    std::stop_token stop);

/// Removes the overlays of these images and their reports, and returns what it removed; the clones
/// stay. Throws Error: refused (4) if a virtual machine has one open or has written to it.
/// In place: puts back what the devices had.
std::vector<std::filesystem::path> undo_fixup(const std::vector<ImageRequest>& images, Place place,
                                              std::stop_token stop);

/// Where the overlay of `image` stands if nobody says otherwise.
[[nodiscard]] std::filesystem::path default_overlay(const std::filesystem::path& image);

} // namespace coldspare::fixup
