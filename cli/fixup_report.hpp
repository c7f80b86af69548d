#pragma once

#include "cli/output.hpp"
#include "fixup/fixup.hpp"

#include <nlohmann/json_fwd.hpp>

namespace coldspare::cli {

/// What came of a fixup, or of a look, for a person.
void print_fixup(const fixup::FixupResult& result, fixup::Depth depth, Output& output);

/// The fields of the result that only fixup has (coldspare-fixup(8)).
[[nodiscard]] nlohmann::json fixup_to_json(const fixup::FixupResult& result, fixup::Depth depth);

} // namespace coldspare::cli
