#include "fixup/disk_tables.hpp"

#include "base/text.hpp"
#include "fixup/old_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_warnings = 20;
constexpr std::size_t shown_bytes = 120;
constexpr std::string_view not_cloned =
    "is not in the copy: systemd waits 90 seconds for it and then stops in the emergency shell, "
    "without a network; add nofail,x-systemd.device-timeout=10 to its options (on the server, or "
    "at "
    "the VM's console), or clone its disk too";

void say(std::vector<std::string>& where, std::string_view path, unsigned line,
         std::string_view name, std::string_view what) {
    if (where.size() < most_warnings) {
        where.push_back(
            fmt::format("{}:{}: {}: {}", path, line, printable(name.substr(0, shown_bytes)), what));
    }
}

/// Without these the system is not itself; a data disk of another place is another matter.
bool is_of_the_system(std::string_view mount_point) {
    constexpr std::array<std::string_view, 6> points{"/",    "/boot", "/boot/efi",
                                                     "/usr", "/var",  "/etc"};
    return std::ranges::find(points, mount_point) != points.end();
}

std::string unquoted(std::string_view text) {
    const std::vector<Piece> words = words_in({0, text}, "\"'");
    return words.empty() ? "" : std::string(words[0].text);
}

/// "/dev/mapper/vg--x-root" as "/dev/vg-x/root".
std::string without_mapper(std::string_view name) {
    constexpr std::string_view front = "/dev/mapper/";
    if (!name.starts_with(front)) {
        return std::string(name);
    }
    std::string result = "/dev/";
    const std::string_view rest = name.substr(front.size());
    for (std::size_t i = 0; i < rest.size(); ++i) {
        if (rest[i] == '-' && i + 1 < rest.size() && rest[i + 1] == '-') {
            result += '-';
            ++i;
        } else {
            result += rest[i] == '-' ? '/' : rest[i];
        }
    }
    return result;
}

/// Whether the copy surely has no such volume, by a name that does not depend on hardware.
bool is_absent(const GuestSystem& system, std::string_view name,
               const std::set<std::string>& opened) {
    const std::vector<GuestVolume>& volumes = system.volumes;
    if (volumes.empty()) {
        return false;
    }
    const auto none = [&volumes](const std::string& text, std::string GuestVolume::*member) {
        return !text.empty() && std::ranges::find(volumes, text, member) == volumes.end();
    };
    const auto behind = [name](std::string_view front) {
        return name.starts_with(front) ? unquoted(name.substr(front.size())) : std::string();
    };
    if (none(behind("UUID="), &GuestVolume::uuid) ||
        none(behind("/dev/disk/by-uuid/"), &GuestVolume::uuid) ||
        none(behind("LABEL="), &GuestVolume::label)) {
        // What lies in a closed LUKS volume, or in an array that is not there, cannot be seen.
        return std::ranges::none_of(volumes, [](const GuestVolume& volume) {
            return volume.format == "crypto_LUKS" || volume.format == "linux_raid_member";
        });
    }
    const std::string logical = without_mapper(name);
    const bool is_logical = logical.starts_with("/dev/") && std::ranges::count(logical, '/') == 3 &&
                            !logical.starts_with("/dev/md/") && !logical.starts_with("/dev/disk/");
    const auto is_lv = [](const GuestVolume& volume) {
        return std::ranges::count(volume.device, '/') == 3 &&
               !volume.device.starts_with("/dev/mapper/") && !volume.device.starts_with("/dev/md/");
    };
    return is_logical && !opened.contains(std::string(name)) &&
           std::ranges::any_of(volumes, is_lv) && none(logical, &GuestVolume::device) &&
           none(std::string(name), &GuestVolume::device);
}

/// The devices that crypttab makes.
std::set<std::string> opened_by(std::string_view crypttab) {
    std::set<std::string> devices;
    for (const TableLine& line : table_lines(crypttab)) {
        devices.insert(fmt::format("/dev/mapper/{}", line.fields[0].text));
    }
    return devices;
}

/// A line without which the start goes on. Volumes on the network are the runbook's.
bool can_start_without(std::string_view options) {
    return has_option(options, "nofail") || has_option(options, "_netdev");
}

/// What cannot be named anew: is that a reason to stop?
void judge_lost(const DeviceNames& names, const DiskName& parsed, const TableLine& line,
                TableRewrite& rewrite) {
    constexpr std::string_view path = "/etc/fstab";
    const std::string_view name = line.fields[0].text;
    const std::string_view options = line.fields.size() > 3 ? line.fields[3].text : "";
    const bool is_swap = line.fields[2].text == "swap";
    if (!is_used_at_boot(line) || can_start_without(options)) {
        return;
    }
    const bool is_data = !is_swap && !is_of_the_system(line.fields[1].text);
    if (is_data && (names.is_beyond(parsed) || !vm_offers(parsed) || !names.disk_of(parsed))) {
        say(rewrite.warnings, path, line.number, name, not_cloned);
    } else if (vm_offers(parsed) && names.disk_of(parsed)) {
        say(rewrite.warnings, path, line.number, name,
            "the VM must call this disk so as well (bus='scsi' or 'sata'); UUID= would be safe");
    } else if (is_swap) {
        say(rewrite.warnings, path, line.number, name,
            "not known which volume of the copy this swap space is: the VM starts without it, "
            "perhaps after 90 seconds; put UUID= in its place on the server");
    } else {
        say(rewrite.obstacles, path, line.number, name,
            "names a disk of the server, and it is not certain which volume of the copy that is");
    }
}

/// Whether a line says without a guess that it means this volume: then no other line does.
bool is_named(const std::set<std::string>& sure, const GuestVolume& volume) {
    return volume.format != "btrfs" &&
           (sure.contains("UUID=" + volume.uuid) || sure.contains("UUID=\"" + volume.uuid + "\"") ||
            sure.contains("/dev/disk/by-uuid/" + volume.uuid) ||
            sure.contains("LABEL=" + volume.label));
}

bool is_left_alone(const TableLine& line) {
    const std::string_view options = line.fields.size() > 3 ? line.fields[3].text : "";
    const std::string_view type = line.fields[2].text;
    return (has_option(options, "noauto") && !line.fields[1].text.starts_with("/boot")) ||
           type == "iso9660" || type == "udf" || type == "udf,iso9660" || type == "ignore";
}

} // namespace

TableRewrite rewrite_fstab(std::string_view fstab, std::string_view crypttab,
                           const DeviceNames& names, const GuestSystem& system) {
    TableRewrite rewrite;
    const std::set<std::string> opened = opened_by(crypttab);
    std::vector<Replacement> replacements;
    const bool noted = fstab.find(root_was) != std::string_view::npos;
    bool some_remain = false;
    bool root_remains = false;
    std::set<std::string> sure;
    for (const TableLine& line : table_lines(fstab)) {
        sure.emplace(line.fields[0].text);
    }
    for (const TableLine& line : table_lines(fstab)) {
        if (line.fields.size() < 3) {
            continue;
        }
        const Piece& device = line.fields[0];
        const std::optional<DiskName> parsed = names.parse(device.text);
        const std::string_view options = line.fields.size() > 3 ? line.fields[3].text : "";
        if (!parsed) {
            if (is_used_at_boot(line) && !can_start_without(options) &&
                is_absent(system, device.text, opened)) {
                say(rewrite.warnings, "/etc/fstab", line.number, device.text, not_cloned);
            }
            continue;
        }
        const GuestVolume* volume = is_left_alone(line) || has_option(options, "_netdev")
                                        ? nullptr
                                        : names.find(device.text);
        const bool fits = volume != nullptr && fits_type(*volume, line.fields[2].text) &&
                          !is_named(sure, *volume);
        const std::string uuid = fits ? names.uuid_name(*volume) : "";
        if (!uuid.empty()) {
            replacements.push_back({device.begin, device.text.size(), uuid});
            ++rewrite.changed;
            continue;
        }
        some_remain = true;
        root_remains = root_remains || device.text == names.root();
        judge_lost(names, *parsed, line, rewrite);
    }
    rewrite.after = replaced(fstab, std::move(replacements));
    if (some_remain && !noted && !root_remains && !names.root().empty()) {
        const std::string_view gap = rewrite.after.ends_with('\n') ? "" : "\n";
        rewrite.after += fmt::format("{}{}{}\n", gap, root_was, names.root());
    }
    return rewrite;
}

namespace {

/// The mapping in which the root file system lies; empty if none does, or that is not certain.
std::string_view root_mapping(const std::vector<TableLine>& lines, std::string_view root,
                              const GuestSystem& system) {
    const auto has_passphrase = [](const TableLine& line) {
        return line.fields.size() < 3 || line.fields[2].text == "none" ||
               line.fields[2].text == "-";
    };
    std::string_view found;
    for (const TableLine& line : lines) {
        if (root == fmt::format("/dev/mapper/{}", line.fields[0].text)) {
            return line.fields[0].text;
        }
    }
    // A logical volume inside the one that asks for a passphrase: how Debian's installer does it.
    const bool has_plain = std::ranges::any_of(system.volumes, [](const GuestVolume& volume) {
        return volume.format == "LVM2_member" && volume.disk;
    });
    const bool is_logical =
        !has_plain && (root.starts_with("/dev/mapper/") || std::ranges::count(root, '/') == 3);
    for (const TableLine& line : lines) {
        const bool is_swap = line.fields.size() > 3 && has_option(line.fields[3].text, "swap");
        if (is_logical && has_passphrase(line) && !is_swap) {
            if (!found.empty()) {
                return {};
            }
            found = line.fields[0].text;
        }
    }
    return found;
}

bool needs_chip(std::string_view options) {
    return has_option(options, "tpm2-device=") || has_option(options, "fido2-device=") ||
           has_option(options, "pkcs11-uri=");
}

/// What is said of an entry whose device has no name in the VM, or is not there.
void judge_crypt_device(const DeviceNames& names, const GuestSystem& system, const TableLine& line,
                        std::string_view root_name, TableRewrite& rewrite) {
    constexpr std::string_view path = "/etc/crypttab";
    const std::string_view device = line.fields[1].text;
    const std::string_view options = line.fields.size() > 3 ? line.fields[3].text : "";
    const bool can_miss = has_option(options, "noauto") || has_option(options, "nofail");
    const std::optional<DiskName> parsed = names.parse(device);
    if (parsed && line.fields[0].text == root_name && !vm_offers(*parsed)) {
        say(rewrite.obstacles, path, line.number, device,
            "names a disk of the server, and it is not certain which volume of the copy that is");
    } else if (parsed && !can_miss) {
        say(rewrite.warnings, path, line.number, device,
            vm_offers(*parsed) && names.disk_of(*parsed)
                ? "the VM must call this disk so as well (bus='scsi' or 'sata')"
                : "no volume of the copy is surely this one: what lies in it does not appear, and "
                  "the start may wait 90 seconds for it");
    } else if (!can_miss && is_absent(system, device, {})) {
        say(rewrite.warnings, path, line.number, device,
            "is not in the copy, and the start waits for it: add nofail to its options on the "
            "server, or clone its disk too");
    }
}

} // namespace

TableRewrite rewrite_crypttab(std::string_view crypttab, std::string_view root,
                              const DeviceNames& names, const GuestSystem& system,
                              InitramfsOption option) {
    TableRewrite rewrite;
    std::vector<Replacement> replacements;
    const std::vector<TableLine> lines = table_lines(crypttab);
    const std::string_view root_name = root_mapping(lines, root, system);
    for (const TableLine& line : lines) {
        if (line.fields.size() < 2) {
            continue;
        }
        const Piece& device = line.fields[1];
        const std::string_view options = line.fields.size() > 3 ? line.fields[3].text : "";
        const GuestVolume* volume = names.find(device.text);
        // Anything else than LUKS is made anew with each start: on the wrong volume that is its
        // end.
        const std::string uuid =
            volume == nullptr || volume->format != "crypto_LUKS" ? "" : names.uuid_name(*volume);
        if (uuid.empty()) {
            judge_crypt_device(names, system, line, root_name, rewrite);
        } else {
            replacements.push_back({device.begin, device.text.size(), uuid});
            ++rewrite.changed;
        }
        if (needs_chip(options)) {
            say(rewrite.warnings, "/etc/crypttab", line.number, line.fields[0].text,
                "is opened by a chip of the server: the VM asks for a passphrase; be sure that "
                "there is one (systemd-cryptenroll DEVICE lists the slots)");
        }
        if (option == InitramfsOption::add && line.fields[0].text == root_name &&
            !has_option(options, "initramfs")) {
            const std::size_t columns = line.fields.size();
            const Piece& last = line.fields[std::min<std::size_t>(columns, 4) - 1];
            replacements.push_back({last.end(), 0,
                                    columns > 3    ? ",initramfs"
                                    : columns == 3 ? " initramfs"
                                                   : " none initramfs"});
            ++rewrite.changed;
        }
    }
    rewrite.after = replaced(crypttab, std::move(replacements));
    return rewrite;
}

} // namespace coldspare::fixup
