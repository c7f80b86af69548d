#pragma once

#include "base/process.hpp"
#include "clone/range.hpp"
#include "clone/used_space.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// File systems in image files, made and checked by a system's own tools. Nothing is mounted.
namespace coldspare::images {

/// The program is looked up where root finds it.
ProcessResult run(std::vector<std::string> argv, const std::string& input = {});

/// The same, which must succeed. Returns what it printed.
std::string run_well(std::vector<std::string> argv, const std::string& input = {});

/// A file of zeros.
void make(const std::filesystem::path& path, std::uint64_t size);

/// `count` files "f0" ... of different sizes and contents, always the same ones.
void make_files(const std::filesystem::path& directory, int count);

[[nodiscard]] std::string content_of_file(int number);

/// Copies an image and leaves its holes out.
void copy_image(const std::filesystem::path& from, const std::filesystem::path& to);

void overwrite(const std::filesystem::path& path, std::uint64_t offset, std::string_view bytes);
[[nodiscard]] std::string bytes_at(const std::filesystem::path& path, std::uint64_t offset,
                                   std::size_t length);

/// Puts 0xff into all of the ranges.
void spoil(const std::filesystem::path& path, std::span<const clone::Range> ranges);

[[nodiscard]] std::uint64_t total(std::span<const clone::Range> ranges);

/// Whether they are in order, apart, not empty and inside of `size`.
[[nodiscard]] bool well_formed(std::span<const clone::Range> ranges, std::uint64_t size);

/// The bytes of a file, for the readers.
[[nodiscard]] clone::ReadBytes reader_of(const std::filesystem::path& path);

/// The number that follows `label` in `text`, which must have it.
[[nodiscard]] std::uint64_t number_after(std::string_view text, std::string_view label);

} // namespace coldspare::images
