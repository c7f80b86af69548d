#pragma once

#include "fixup/facts_boot.hpp"

#include <optional>

namespace coldspare::fixup {

/// What is on the EFI system partition: a partition of that type, or a FAT file system mounted at
/// /boot/efi or /efi (on a mirror it has another type). Nothing if the system has none. Reads the
/// boot loaders below EFI/, up to 16 MiB each; of other files only their names.
[[nodiscard]] std::optional<EspFacts> esp_facts(Guest& guest, const GuestSystem& system);

} // namespace coldspare::fixup
