#pragma once

#include "base/inventory.hpp"
#include "fixup/wishes.hpp"
#include "tests/support/memory_guest.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// A system of tests/fixup/corpus (README.md there): a guest in memory, what is wished for it, and
/// the plan that is expected.
struct CorpusCase {
    std::filesystem::path folder;
    MemoryGuest guest;
    Wishes wishes;
    std::optional<Inventory> inventory; ///< inventory.json, if there is one
    std::string expected;               ///< plan.txt
};

/// All folders of the corpus, sorted.
[[nodiscard]] std::vector<std::filesystem::path> corpus_folders();

/// Reads one. Throws Error that names the file.
[[nodiscard]] CorpusCase read_corpus_case(const std::filesystem::path& folder);

} // namespace coldspare::fixup
