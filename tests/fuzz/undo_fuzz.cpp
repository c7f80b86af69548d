// The header of an undo file is the host's own file, and a disk is written by it.
#include "base/error.hpp"
#include "fixup/undo_file.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const coldspare::fixup::UndoFile undo =
            coldspare::fixup::parse_undo_header(text, std::uint64_t{size} + 10);
        std::uint64_t at = 0;
        for (const coldspare::fixup::ByteRange& range : undo.ranges) {
            if (range.offset < at || range.end() > undo.disk_size) {
                std::abort();
            }
            at = range.end();
        }
    } catch (const coldspare::Error&) {
    }
    return 0;
}
