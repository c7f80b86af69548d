#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace coldspare::clone {

/// The content of a file of at most `limit` bytes that holds a secret: `what` ("the token").
/// Throws Error; with status 2 if users other than the owner may read or write it.
[[nodiscard]] std::string read_secret_file(const std::filesystem::path& path, std::size_t limit,
                                           std::string_view what);

} // namespace coldspare::clone
