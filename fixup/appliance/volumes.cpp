#include "fixup/appliance/volumes.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"
#include "fixup/facts_boot.hpp"
#include "fixup/old_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <guestfs.h>

#include <algorithm>
#include <map>

namespace coldspare::fixup {

namespace {

constexpr std::size_t longest_passphrase = std::size_t{1} << 20;
constexpr std::int64_t longest_fstab = std::int64_t{1} << 20;
constexpr const char* fstab = "/etc/fstab";

/// Where, and what.
using Mounts = std::vector<std::pair<std::string, std::string>>;

using PartList = Handle<struct guestfs_partition_list, guestfs_free_partition_list>;

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

GuestVolume describe(Appliance& appliance, const std::string& device, const GuestSystem& system) {
    GuestVolume volume{
        .device = device,
        .format = format_of(appliance, device),
        .uuid = Appliance::optional_text(guestfs_vfs_uuid(appliance.handle(), device.c_str())),
        .label = Appliance::optional_text(guestfs_vfs_label(appliance.handle(), device.c_str()))};
    const CString whole(guestfs_part_to_dev(appliance.handle(), device.c_str()));
    const int disk = whole ? guestfs_device_index(appliance.handle(), whole.get()) : -1;
    const int number = whole ? guestfs_part_to_partnum(appliance.handle(), device.c_str()) : -1;
    if (disk >= 0 && static_cast<unsigned>(disk) < appliance.disk_count() && number > 0) {
        volume.disk = static_cast<unsigned>(disk);
        volume.partition = static_cast<unsigned>(number);
        volume.device = Appliance::disk_name(*volume.disk) + std::to_string(number);
        volume.partition_type =
            system.tables[*volume.disk] == "gpt"
                ? Appliance::optional_text(
                      guestfs_part_get_gpt_type(appliance.handle(), whole.get(), number))
                : fmt::format("0x{:02x}",
                              guestfs_part_get_mbr_id(appliance.handle(), whole.get(), number));
        const PartList parts(guestfs_part_list(appliance.handle(), whole.get()));
        for (std::uint32_t i = 0; parts && i < parts->len; ++i) {
            if (parts->val[i].part_num == number) {
                volume.start = parts->val[i].part_start;
                volume.size = parts->val[i].part_size;
            }
        }
    }
    return volume;
}

/// Returns what the library calls each of the volumes.
std::vector<std::string> describe_volumes(Appliance& appliance, GuestSystem& system) {
    std::vector<std::string> devices =
        appliance.strings(guestfs_list_partitions(appliance.handle()), "listing partitions");
    // Pairs of a volume and its format; the partitions among them are known.
    const std::vector<std::string> others =
        appliance.strings(guestfs_list_filesystems(appliance.handle()), "listing file systems");
    for (std::size_t i = 0; i + 1 < others.size(); i += 2) {
        if (!others[i].starts_with("btrfsvol:") &&
            std::ranges::find(devices, others[i]) == devices.end()) {
            devices.push_back(others[i]);
        }
    }
    for (unsigned disk = 0; disk < appliance.disk_count(); ++disk) {
        system.tables.push_back(Appliance::optional_text(
            guestfs_part_get_parttype(appliance.handle(), Appliance::disk_name(disk).c_str())));
    }
    for (const std::string& device : devices) {
        system.volumes.push_back(describe(appliance, device, system));
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
