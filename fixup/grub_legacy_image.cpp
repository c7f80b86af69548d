#include "fixup/grub_legacy_image.hpp"

#include "fixup/grub_image.hpp"

#include <algorithm>

namespace coldspare::fixup {

namespace {

constexpr std::size_t sector_bytes = 512;
constexpr std::size_t stage2_address = 0x42;
constexpr std::size_t stage2_sector = 0x44;
/// Block lists grow downwards from the end of the first sector, 8 bytes for each piece of a file
/// that lies in pieces; the code ends well before here.
constexpr std::size_t lists_begin = 0x180;
/// main() begins 0x70 bytes into the second sector.
constexpr std::size_t fields_end = 0x200 + 0x70;

std::uint64_t little_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
        value = value << 8U | static_cast<unsigned char>(bytes[i]);
    }
    return value;
}

} // namespace

std::optional<LegacyJump> legacy_jump(std::string_view sector) {
    if (boot_sector_kind(sector) != BootSector::grub_legacy) {
        return std::nullopt;
    }
    const std::uint64_t address = little_endian(sector.substr(stage2_address, 2));
    const std::uint64_t lba = little_endian(sector.substr(stage2_sector, 4));
    if (lba == 0 || (address != 0x2000 && address != 0x8000)) {
        return std::nullopt;
    }
    return LegacyJump{.to = address == 0x2000 ? LegacyStage::stage1_5 : LegacyStage::stage2,
                      .offset = lba * sector_bytes};
}

bool same_stage(std::string_view embedded, std::string_view file) {
    const std::size_t size = std::min(embedded.size(), file.size());
    if (file.size() <= fields_end || size < sector_bytes) {
        return false;
    }
    return embedded.substr(0, lists_begin) == file.substr(0, lists_begin) &&
           (size <= fields_end || embedded.substr(fields_end, size - fields_end) ==
                                      file.substr(fields_end, size - fields_end));
}

DosStarts dos_starts(std::string_view sector) {
    constexpr std::size_t table = 0x1BE;
    constexpr std::size_t entry_bytes = 16;
    DosStarts starts;
    if (sector.size() < sector_bytes || sector.substr(510, 2) != "\x55\xaa") {
        return starts;
    }
    for (std::size_t i = 0; i < 4; ++i) {
        const std::string_view entry = sector.substr(table + i * entry_bytes, entry_bytes);
        const std::uint64_t begin = little_endian(entry.substr(8, 4)) * sector_bytes;
        if (entry[4] == '\0' || begin == 0) {
            continue;
        }
        starts.first = starts.first == 0 ? begin : std::min(starts.first, begin);
        if (entry[0] == '\x80' && starts.active == 0) {
            starts.active = begin;
        }
    }
    return starts;
}

} // namespace coldspare::fixup
