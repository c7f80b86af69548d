#include "fixup/appliance/volumes.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "fixup/blkid_output.hpp"
#include "fixup/facts_boot.hpp"
#include "fixup/guest_text.hpp"
#include "fixup/old_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <guestfs.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

namespace coldspare::fixup {

namespace {

constexpr std::size_t longest_passphrase = std::size_t{1} << 20;
constexpr std::int64_t longest_fstab = std::int64_t{1} << 20;
constexpr const char* fstab = "/etc/fstab";
constexpr std::uint64_t sector_bytes = 512; // in what blkid says, whatever the disk has

/// Where, and what.
using Mounts = std::vector<std::pair<std::string, std::string>>;

std::string format_of(Appliance& appliance, const std::string& device) {
    return Appliance::optional_text(guestfs_vfs_type(appliance.handle(), device.c_str()));
}

void open_volume(Appliance& appliance, const std::string& device,
                 const std::vector<std::string>& passphrases, unsigned number) {
    for (const std::string& passphrase : passphrases) {
        if (guestfs_cryptsetup_open(appliance.handle(), device.c_str(), passphrase.c_str(),
                                    fmt::format("fixluks{}", number).c_str(), -1) == 0) {
            return;
        }
    }
    throw Error(
        fmt::format("no key opens the encrypted volume {} (UUID {})", device,
                    Appliance::optional_text(guestfs_vfs_uuid(appliance.handle(), device.c_str()))),
        "name the file with its passphrase with --key-file");
}

std::string choose_root(Appliance& appliance, const std::string& wanted) {
    const std::vector<std::string> roots = appliance.strings(guestfs_inspect_os(appliance.handle()),
                                                             "looking for the system on the disk");
    if (roots.empty()) {
        throw Error("there is no operating system on the disk",
                    "a clone of only a part of the disks? give all of them; an encrypted one "
                    "needs --key-file");
    }
    if (wanted.empty() && roots.size() > 1) {
        throw Error(fmt::format("there are {} operating systems on the disk: {}", roots.size(),
                                fmt::join(roots, ", ")),
                    "say which one with --root");
    }
    if (!wanted.empty() && std::ranges::find(roots, wanted) == roots.end()) {
        throw Error(fmt::format("there is no operating system on '{}'", wanted),
                    fmt::format("these have one: {}", fmt::join(roots, ", ")), ExitStatus::usage);
    }
    return wanted.empty() ? roots.front() : wanted;
}

/// What the server called what it mounted, by where.
std::map<std::string, std::string> names_in_fstab(const FileTree& files) {
    std::map<std::string, std::string> names;
    for (const TableLine& line : table_lines(files.text_or_empty(fstab))) {
        if (line.fields.size() > 1) {
            names.emplace(line.fields[1].text, line.fields[0].text);
        }
    }
    return names;
}

FileTree read_fstab(Appliance& appliance) {
    FileTree files;
    if (guestfs_is_file(appliance.handle(), fstab) == 1 &&
        guestfs_filesize(appliance.handle(), fstab) <= longest_fstab) {
        std::size_t size = 0;
        const CString text(guestfs_read_file(appliance.handle(), fstab, &size));
        appliance.check(text ? 0 : -1, "reading the copy's /etc/fstab");
        files.put(fstab, {.content = std::string(text.get(), size), .readable = true});
    }
    return files;
}

/// Mounts by /etc/fstab what belongs below the root. The library takes the names there for names of
/// the appliance; where they depended on the server's hardware, what they meant is known better.
Mounts mount_rest(Appliance& appliance, const std::string& root, const GuestSystem& system) {
    const FileTree files = read_fstab(appliance);
    const DeviceNames meant = device_names(system, files, std::nullopt);
    const std::map<std::string, std::string> names = names_in_fstab(files);
    const std::vector<std::string> pairs = appliance.strings(
        guestfs_inspect_get_mountpoints(appliance.handle(), root.c_str()), "inspection");
    Mounts mounts;
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
        const auto name = names.find(pairs[i]);
        const GuestVolume* volume = name == names.end() ? nullptr : meant.find(name->second);
        if (pairs[i] != "/") {
            mounts.emplace_back(pairs[i], volume != nullptr ? volume->device : pairs[i + 1]);
        }
    }
    std::ranges::sort(mounts, {},
                      [](const auto& mount) { return std::pair(mount.first.size(), mount.first); });
    Mounts mounted;
    for (const auto& [point, source] : mounts) {
        if (guestfs_mount(appliance.handle(), source.c_str(), point.c_str()) == 0) {
            mounted.emplace_back(point, source);
        } else if (point.starts_with("/boot") || point.starts_with("/usr")) {
            appliance.fail(fmt::format("mounting {} of the copy", point));
        } // else a data disk that was not cloned, say: nothing here needs it
    }
    return mounted;
}

/// What blkid(8) says of devices, all in one question: each of the library's costs up to a second
/// where the appliance is emulated. `devices` are words of the shell.
std::map<std::string, BlkidProperties> probe(Appliance& appliance, const std::string& devices) {
    std::string script = fmt::format("for device in {}; do echo; echo DEVNAME=$device;"
                                     " blkid -p -o export $device | grep -v ^DEVNAME=; done; true",
                                     devices);
    char* const words[] = {script.data(), nullptr};
    return parse_blkid(
        appliance.text(guestfs_debug(appliance.handle(), "sh", words), "looking at volumes"));
}

GuestVolume volume_from(const std::string& device, const BlkidProperties& said) {
    return {.device = device,
            .format = blkid_value(said, "TYPE"),
            .uuid = blkid_value(said, "UUID"),
            .label = blkid_value(said, "LABEL")};
}

/// As GuestVolume has it.
std::string partition_type(const BlkidProperties& said) {
    std::string type = blkid_value(said, "PART_ENTRY_TYPE");
    if (type.starts_with("0x")) {
        return fmt::format("0x{:02x}", blkid_number(said, "PART_ENTRY_TYPE"));
    }
    std::ranges::transform(type, type.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return type;
}

/// A volume, and what the library calls it.
using Described = std::vector<std::pair<GuestVolume, std::string>>;

/// The disks' tables, their partitions, and file systems that have a whole disk.
Described describe_disks(Appliance& appliance, std::vector<std::string>& tables) {
    Described volumes;
    const std::map<std::string, BlkidProperties> found =
        probe(appliance, "/dev/disk/guestfs/fixdisk*");
    for (unsigned disk = 0; disk < appliance.disk_count(); ++disk) {
        const std::string whole = Appliance::disk_name(disk);
        const std::string name = fmt::format("/dev/sd{}", static_cast<char>('a' + disk));
        const auto itself = found.find(whole);
        const BlkidProperties none;
        const BlkidProperties& said = itself == found.end() ? none : itself->second;
        const std::string table = blkid_value(said, "PTTYPE");
        tables.push_back(table == "dos" ? "msdos" : table);
        if (table.empty() && !blkid_value(said, "TYPE").empty()) {
            volumes.emplace_back(volume_from(whole, said), name);
        }
        for (const auto& [device, properties] : found) {
            const std::uint64_t number = blkid_number(properties, "PART_ENTRY_NUMBER");
            if (number == 0 || device != fmt::format("{}{}", whole, number)) {
                continue;
            }
            GuestVolume volume = volume_from(device, properties);
            volume.disk = disk;
            volume.partition = static_cast<unsigned>(number);
            volume.partition_type = partition_type(properties);
            volume.start = sector_bytes * blkid_number(properties, "PART_ENTRY_OFFSET");
            volume.size = sector_bytes * blkid_number(properties, "PART_ENTRY_SIZE");
            volumes.emplace_back(std::move(volume), fmt::format("{}{}", name, number));
        }
    }
    std::ranges::sort(volumes, {}, [](const auto& each) {
        return std::tuple(each.first.disk, each.first.partition);
    });
    return volumes;
}

/// Logical volumes, arrays, opened LUKS volumes: what lies on the disks of `volumes`.
Described describe_layers(Appliance& appliance, const Described& volumes) {
    const auto has = [&volumes](std::string_view format) {
        return std::ranges::any_of(volumes,
                                   [&](const auto& each) { return each.first.format == format; });
    };
    std::vector<std::string> devices =
        appliance.strings(guestfs_list_md_devices(appliance.handle()), "listing arrays");
    const std::vector<std::string> mapped =
        appliance.strings(guestfs_list_dm_devices(appliance.handle()), "listing opened volumes");
    devices.insert(devices.end(), mapped.begin(), mapped.end());
    if (has("LVM2_member") || !devices.empty()) {
        const std::vector<std::string> logical =
            appliance.strings(guestfs_lvs(appliance.handle()), "listing logical volumes");
        devices.insert(devices.end(), logical.begin(), logical.end());
    }
    std::string words;
    for (const std::string& device : devices) {
        words += " " + shell_quoted(device);
    }
    Described layers;
    const std::map<std::string, BlkidProperties> found = probe(appliance, words);
    for (const std::string& device : devices) {
        const auto said = found.find(device);
        if (said != found.end() && !blkid_value(said->second, "TYPE").empty()) {
            layers.emplace_back(volume_from(device, said->second), device);
        }
    }
    return layers;
}

/// Returns what the library calls each of the volumes.
std::vector<std::string> describe_volumes(Appliance& appliance, GuestSystem& system) {
    Described volumes = describe_disks(appliance, system.tables);
    Described layers = describe_layers(appliance, volumes);
    volumes.insert(volumes.end(), std::make_move_iterator(layers.begin()),
                   std::make_move_iterator(layers.end()));
    std::vector<std::string> devices;
    for (auto& [volume, device] : volumes) {
        system.volumes.push_back(std::move(volume));
        devices.push_back(std::move(device));
    }
    return devices;
}

void mark_mounted(GuestSystem& system, const std::vector<std::string>& devices,
                  const std::string& point, const std::string& source) {
    system.mount_points.push_back(point);
    for (std::size_t i = 0; i < system.volumes.size(); ++i) {
        GuestVolume& volume = system.volumes[i];
        // Of a Btrfs volume its subvolumes are mounted; the shortest path comes first.
        if (volume.mount_point.empty() &&
            (source == devices[i] || source == volume.device ||
             source.starts_with(fmt::format("btrfsvol:{}/", devices[i])))) {
            volume.mount_point = point;
        }
    }
}

/// An EFI system partition that is not in /etc/fstab, as systemd mounts it: at its usual place, if
/// that is an empty directory. One that has no place stays as it is.
void mount_esp(Appliance& appliance, GuestSystem& system) {
    GuestVolume* esp = nullptr;
    for (GuestVolume& volume : system.volumes) {
        if (volume.partition_type != esp_type || volume.format != "vfat") {
            continue;
        }
        if (esp != nullptr || !volume.mount_point.empty()) {
            return; // one is mounted, or nobody knows which one it should be
        }
        esp = &volume;
    }
    for (const char* point : {"/boot/efi", "/efi"}) {
        if (esp == nullptr || guestfs_is_dir(appliance.handle(), point) != 1) {
            continue;
        }
        if (appliance.strings(guestfs_ls(appliance.handle(), point), "listing the place of the ESP")
                .empty()) {
            appliance.check(guestfs_mount(appliance.handle(), esp->device.c_str(), point),
                            "mounting the EFI system partition of the copy");
            esp->mount_point = point;
            system.mount_points.emplace_back(point);
            return;
        }
    }
}

/// Whether the appliance, which is of the host's kind, can run programs of such a system.
bool runs_here(const std::string& arch) {
#if defined(__x86_64__)
    return arch == "x86_64" || (arch.size() == 4 && arch.starts_with('i') && arch.ends_with("86"));
#elif defined(__aarch64__)
    return arch == "aarch64";
#else
    return false;
#endif
}

} // namespace

void start_incomplete_arrays(Appliance& appliance) {
    // The library can stop and make arrays, but not start one that is there: its own shell can.
    std::string script = "for array in $(sed -n 's/ : inactive .*//p' /proc/mdstat); do"
                         " mdadm --run /dev/$array && echo $array; done 2> /dev/null; true";
    char* const words[] = {script.data(), nullptr};
    const std::string started =
        appliance.text(guestfs_debug(appliance.handle(), "sh", words), "starting md arrays");
    if (!started.empty()) {
        appliance.check(guestfs_lvm_scan(appliance.handle(), 1), "looking for logical volumes");
    }
}

void cover_run(Appliance& appliance) {
    std::string script =
        "test ! -d /sysroot/run -o -L /sysroot/run || mount -t tmpfs tmpfs /sysroot/run";
    char* const words[] = {script.data(), nullptr};
    static_cast<void>(appliance.text(guestfs_debug(appliance.handle(), "sh", words),
                                     "mounting a /run for the copy's programs"));
}

void open_encrypted(Appliance& appliance, const std::vector<std::filesystem::path>& keys) {
    if (keys.empty()) {
        return;
    }
    std::vector<std::string> passphrases;
    for (const std::filesystem::path& key : keys) {
        passphrases.push_back(read_file(key, longest_passphrase));
        if (passphrases.back().ends_with('\n')) {
            passphrases.back().pop_back();
        }
    }
    unsigned opened = 0;
    const std::vector<std::string> devices =
        appliance.strings(guestfs_list_partitions(appliance.handle()), "listing partitions");
    for (const std::string& device : devices) {
        if (format_of(appliance, device) == "crypto_LUKS") {
            open_volume(appliance, device, passphrases, opened++);
        }
    }
    appliance.check(guestfs_lvm_scan(appliance.handle(), 1), "looking for logical volumes");
    const std::vector<std::string> volumes =
        appliance.strings(guestfs_lvs(appliance.handle()), "listing logical volumes");
    for (const std::string& device : volumes) {
        if (format_of(appliance, device) == "crypto_LUKS") {
            open_volume(appliance, device, passphrases, opened++);
        }
    }
}

GuestSystem mount_system(Appliance& appliance, const std::string& wanted) {
    const std::string root = choose_root(appliance, wanted);
    GuestSystem system;
    system.distro =
        appliance.text(guestfs_inspect_get_distro(appliance.handle(), root.c_str()), "inspection");
    system.product = appliance.text(
        guestfs_inspect_get_product_name(appliance.handle(), root.c_str()), "inspection");
    system.arch =
        appliance.text(guestfs_inspect_get_arch(appliance.handle(), root.c_str()), "inspection");
    system.runs_programs = runs_here(system.arch);
    system.package_format = appliance.text(
        guestfs_inspect_get_package_format(appliance.handle(), root.c_str()), "inspection");
    appliance.check(guestfs_mount(appliance.handle(), root.c_str(), "/"),
                    "mounting the root of the copy");
    const std::vector<std::string> devices = describe_volumes(appliance, system);
    mark_mounted(system, devices, "/", root);
    for (const auto& [point, source] : mount_rest(appliance, root, system)) {
        mark_mounted(system, devices, point, source);
    }
    mount_esp(appliance, system);
    return system;
}

} // namespace coldspare::fixup
