#include "fixup/grub_image.hpp"

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::size_t sector_bytes = 512;
constexpr std::size_t code_bytes = 440;
constexpr std::size_t core_sector_field = 0x5C;

struct Field {
    std::size_t begin;
    std::size_t end;
};
constexpr std::array<Field, 3> patched{{{0x1F4, 0x200}, {0x210, 0x214}, {0x218, 0x21C}}};

std::uint64_t little_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
        value = value << 8U | static_cast<unsigned char>(bytes[i]);
    }
    return value;
}

} // namespace

BootSector boot_sector_kind(std::string_view sector) {
    using namespace std::string_view_literals;
    if (sector.size() < sector_bytes) {
        return BootSector::empty;
    }
    const std::string_view code = sector.substr(0, code_bytes);
    if (code.substr(6, 4) == "LILO") {
        return BootSector::lilo;
    }
    // GRUB 2 keeps its words apart by one zero byte, and so does 0.97; only 0.97 has its version
    // (3.2) at 0x3E and the name of stage 2's address at 0x42.
    if (code.find("GRUB \0Geom\0Hard Disk\0Read\0 Error"sv) != std::string_view::npos) {
        return code.substr(0x3E, 2) == "\x03\x02"sv ? BootSector::grub_legacy : BootSector::grub2;
    }
    return std::ranges::all_of(code, [](char c) { return c == '\0'; }) ? BootSector::empty
                                                                       : BootSector::other;
}

std::optional<std::uint64_t> core_offset(std::string_view sector) {
    // Far beyond any gap or bios_boot partition a BIOS can read, and no overflow below.
    constexpr std::uint64_t farthest_sector = std::uint64_t{1} << 40U;
    if (boot_sector_kind(sector) != BootSector::grub2) {
        return std::nullopt;
    }
    const std::uint64_t lba = little_endian(sector.substr(core_sector_field, 8));
    if (lba == 0 || lba > farthest_sector) {
        return std::nullopt;
    }
    return lba * sector_bytes;
}

bool same_core(std::string_view embedded, std::string_view file) {
    if (file.size() <= 2 * sector_bytes || embedded.size() < file.size()) {
        return false;
    }
    for (std::size_t i = 0; i < file.size(); ++i) {
        const bool is_patched = std::ranges::any_of(
            patched, [i](const Field& field) { return i >= field.begin && i < field.end; });
        if (embedded[i] != file[i] && !is_patched) {
            return false;
        }
    }
    return true;
}

} // namespace coldspare::fixup
