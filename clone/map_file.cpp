#include "clone/map_file.hpp"

#include "base/error.hpp"
#include "base/files.hpp"

#include <fmt/format.h>

#include <cassert>
#include <iterator>

namespace coldspare::clone {

namespace {

constexpr char finished = '+';
constexpr char bad_sector = '-';

void add_block(std::string& text, Range range, char status) {
    if (range.length > 0) {
        fmt::format_to(std::back_inserter(text), "{:#010x}  {:#010x}  {}\n", range.offset,
                       range.length, status);
    }
}

} // namespace

std::string map_file_text(const MapFile& map) {
    // Position, status and pass of a ddrescue that has nothing to do: it begins at the front.
    std::string text = fmt::format("# Mapfile. Created by {}\n"
                                   "# {}\n"
                                   "# current_pos  current_status  current_pass\n"
                                   "0x00000000     {}               1\n"
                                   "#      pos        size  status\n",
                                   map.program, map.created, finished);
    std::uint64_t position = 0;
    for (const Range& bad : map.bad) {
        assert(bad.offset >= position && inside(bad, map.size));
        add_block(text, {position, bad.offset - position}, finished);
        add_block(text, bad, bad_sector);
        position = bad.end();
    }
    add_block(text, {position, map.size - position}, finished);
    return text;
}

void write_map_file(const std::filesystem::path& path, const MapFile& map) {
    try {
        write_file_atomically(path, map_file_text(map));
    } catch (Error& error) {
        error.prepend("writing the map of unreadable sectors");
        throw;
    }
}

} // namespace coldspare::clone
