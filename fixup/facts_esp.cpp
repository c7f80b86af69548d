#include "fixup/facts_esp.hpp"

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t largest_loader = std::uint64_t{16} << 20;
constexpr std::uint64_t most_bytes = std::uint64_t{128} << 20;
constexpr std::size_t most_directories = 64;
constexpr std::size_t most_files = 500;

bool is_esp(const GuestVolume& volume) {
    return volume.partition_type == esp_type || volume.partition_type == "0xef" ||
           (volume.format == "vfat" &&
            (volume.mount_point == "/boot/efi" || volume.mount_point == "/efi"));
}

/// The name in `directory` that is `wanted` for FAT, or `wanted` itself.
std::string spelled(Guest& guest, const std::string& directory, std::string_view wanted) {
    for (const std::string& name : guest.names_in(directory)) {
        if (lower_case(name) == lower_case(wanted)) {
            return name;
        }
    }
    return std::string(wanted);
}

/// Whether the content of a file can matter for which one starts the system.
bool is_loader(std::string_view name) {
    constexpr std::array<std::string_view, 8> stems{"shim", "grub",     "mm",      "mokmanager",
                                                    "fb",   "fallback", "systemd", "boot"};
    return name.ends_with(".efi") && std::ranges::any_of(stems, [name](std::string_view stem) {
               return name.starts_with(stem);
           });
}

void read_directory(Guest& guest, const std::string& name, EspFacts& esp, std::uint64_t& left) {
    const std::string directory = esp.root + "/" + name;
    for (const std::string& file : guest.names_in(directory)) {
        EspFile found{.directory = name, .name = file, .path = directory + "/" + file};
        const FileStatus status = guest.status(found.path);
        if (status.kind != FileKind::file || esp.files.size() == most_files) {
            continue;
        }
        if (is_loader(lower_case(file)) && status.size <= std::min(largest_loader, left)) {
            found.content = guest.read(found.path, largest_loader);
            left -= found.content.size();
        }
        esp.files.push_back(std::move(found));
    }
}

} // namespace

std::optional<EspFacts> esp_facts(Guest& guest, const GuestSystem& system) {
    std::optional<EspFacts> esp;
    for (const GuestVolume& volume : system.volumes) {
        if (is_esp(volume) && (!esp || (esp->mount_point.empty() && !volume.mount_point.empty()))) {
            esp = EspFacts{.device = volume.device, .mount_point = volume.mount_point};
        }
    }
    for (const char* point : {"/boot/efi", "/efi"}) {
        const std::string directory = point;
        if (!esp && guest.status(directory + "/" + spelled(guest, directory, "EFI")).kind ==
                        FileKind::directory) {
            esp = EspFacts{.mount_point = directory};
        }
    }
    if (!esp || esp->mount_point.empty()) {
        return esp;
    }
    esp->root = esp->mount_point + "/" + spelled(guest, esp->mount_point, "EFI");
    esp->free = guest.free_bytes(esp->mount_point);
    std::uint64_t left = most_bytes;
    std::size_t directories = 0;
    for (const std::string& name : guest.names_in(esp->root)) {
        if (directories++ < most_directories) {
            read_directory(guest, name, *esp, left);
        }
    }
    return esp;
}

} // namespace coldspare::fixup
