#include "fixup/pinning.hpp"

#include "fixup/ini.hpp"
#include "fixup/old_macs.hpp"
#include "fixup/rules_files.hpp"
#include "fixup/udev_rewrite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace coldspare::fixup {

namespace {

constexpr unsigned first_with_links = 197;
constexpr unsigned first_that_renames_again = 240;
constexpr unsigned first_with_permanent_address = 245;

/// The number that `text` begins with.
std::optional<unsigned> leading_number(std::string_view text) {
    unsigned number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    return failed == std::errc() ? std::optional(number) : std::nullopt;
}

bool exists_in_lib(const FileTree& files, std::string_view path) {
    return files.exists(fmt::format("/lib/{}", path)) ||
           files.exists(fmt::format("/usr/lib/{}", path));
}

/// Whether a .link file matches any card with its address, and not only the old server's.
bool fits_any_card(std::string_view text) {
    constexpr std::array<std::string_view, 3> harmless{"MACAddress", "PermanentMACAddress", "Type"};
    return std::ranges::all_of(parse_ini(text, IniDialect::systemd), [&](const IniEntry& entry) {
        return entry.section_name != "Match" || entry.value.empty() ||
               std::ranges::find(harmless, entry.key) != harmless.end();
    });
}

bool is_trusted(const FileTree& files, const FileSite& place) {
    if (place.path.find("/network-scripts/") != std::string::npos) {
        return exists_in_lib(files, "udev/rename_device");
    }
    return place.site.kind == SiteKind::names &&
           place.path.find("/rules.d/") == std::string::npos && // judged token by token below
           (!place.path.ends_with(".link") || fits_any_card(*files.text(place.path)));
}

} // namespace

std::optional<unsigned> systemd_version(const Facts& facts) {
    constexpr std::string_view library = "/libsystemd-shared-";
    unsigned version = 0;
    for (const char* directory :
         {"/lib/systemd", "/usr/lib/systemd", "/usr/lib/x86_64-linux-gnu/systemd",
          "/usr/lib/i386-linux-gnu/systemd"}) {
        for (const std::string& path : facts.files.in(directory, ".so")) {
            const std::size_t at = path.find(library);
            if (at != std::string::npos) {
                version =
                    std::max(version, leading_number(path.substr(at + library.size())).value_or(0));
            }
        }
    }
    if (version > 0) {
        return version;
    }
    if (facts.inventory && !facts.inventory->systemd_version.empty()) {
        return leading_number(facts.inventory->systemd_version);
    }
    const bool there = exists_in_lib(facts.files, "systemd/systemd") ||
                       exists_in_lib(facts.files, "systemd/systemd-udevd");
    return there ? std::nullopt : std::optional(0U);
}

PinWay pin_way(const Facts& facts) {
    const std::optional<unsigned> version = systemd_version(facts);
    if (!version) {
        return PinWay::both;
    }
    if (*version >= first_that_renames_again) {
        return PinWay::link;
    }
    if (*version >= first_with_links) {
        return PinWay::both;
    }
    return facts.rules_directory ? PinWay::rule : PinWay::none;
}

std::set<std::string> names_pinned_in(const FileTree& files, std::span<const NicBinding> nics) {
    std::set<std::string> names;
    for (const auto& [path, content] : readable_rules(files)) {
        names.merge(pinned_names(content, nics));
    }
    for (const FileSite& place : sites_in(files)) {
        const auto nic = std::ranges::find(nics, place.site.name, &NicBinding::name);
        if (nic != nics.end() && nic->mac == place.site.mac && is_trusted(files, place)) {
            names.insert(nic->name);
        }
    }
    return names;
}

std::string link_file(const NicBinding& nic, std::optional<unsigned> version) {
    // MACAddress= also matches a VLAN above the card; PermanentMACAddress= matches the card alone.
    const bool permanent = version && *version >= first_with_permanent_address;
    return fmt::format("# network card of the virtual machine (coldspare fixup)\n"
                       "[Match]\n{}={}\n\n[Link]\nName={}\n",
                       permanent ? "PermanentMACAddress" : "MACAddress", nic.mac, nic.name);
}

} // namespace coldspare::fixup
