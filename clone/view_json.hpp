#pragma once

#include "clone/disk_view.hpp"

#include <nlohmann/json_fwd.hpp>

namespace coldspare::clone {

/// A view as it stands in a manifest (docs/FORMATS.md 1), and back. Of what is kept, the zeros at
/// the end of each region are left out. Throws Error unless it is a view without a fault.
[[nodiscard]] nlohmann::json view_to_json(const DiskView& view);
[[nodiscard]] DiskView view_from_json(const nlohmann::json& object, std::uint64_t size);

} // namespace coldspare::clone
