#include "fixup/device_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

// A name is taken apart into its disk and its partition. Which disk of the copy that is, is found
// in this order, and the first that says something decides:
//   1. the server's inventory: which UUID the name had there, and so which volume of the copy it
//   is;
//   2. the root file system: its volume is known, because the copy was inspected, so the name that
//      it has in fstab shows which disk that name's disk is;
//   3. a copy with one disk, for names that have no number (by-id, by-path);
//   4. the number: sda, hda, c0d0, nvme0n1 are the first of their family. It counts only as long as
//      one family is mentioned, and the root's name, if it shows anything, shows the same order.

namespace coldspare::fixup {

namespace {

constexpr std::string_view digits = "0123456789";

std::optional<unsigned> number_in(std::string_view text) {
    unsigned number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || failed != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

/// What follows the disk in a partition's name: "" or a separator and a number from 1.
std::optional<std::optional<unsigned>> partition_in(std::string_view text,
                                                    std::string_view separator) {
    if (text.empty()) {
        return std::optional<unsigned>();
    }
    if (!text.starts_with(separator)) {
        return std::nullopt;
    }
    const std::optional<unsigned> number = number_in(text.substr(separator.size()));
    if (!number || *number == 0) {
        return std::nullopt;
    }
    return number;
}

/// "a" is 0, "z" 25, "aa" 26.
std::optional<unsigned> letters_number(std::string_view letters) {
    if (letters.empty() || letters.size() > 3) {
        return std::nullopt;
    }
    unsigned number = 0;
    for (const char c : letters) {
        number = number * 26 + static_cast<unsigned>(c - 'a') + 1;
    }
    return number - 1;
}

std::size_t letters_end(std::string_view text) {
    return std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), text.size());
}

/// "/dev/sda1" behind "/dev/sd".
std::optional<DiskName> lettered(std::string_view name, std::string_view front, DiskFamily family) {
    const std::string_view rest = name.substr(front.size());
    const std::size_t end = letters_end(rest);
    const std::optional<unsigned> number = letters_number(rest.substr(0, end));
    const auto partition = partition_in(rest.substr(end), "");
    if (!number || !partition) {
        return std::nullopt;
    }
    return DiskName{std::string(name.substr(0, front.size() + end)), family, number, *partition};
}

/// "/dev/cciss/c0d0p1", "/dev/nvme0n1p1": a number, a letter, a number, and perhaps "p1".
std::optional<DiskName> numbered(std::string_view name, std::string_view front, char middle,
                                 DiskFamily family) {
    const std::string_view rest = name.substr(front.size());
    const std::size_t first_end = std::min(rest.find_first_not_of(digits), rest.size());
    if (middle != '\0' && (first_end >= rest.size() || rest[first_end] != middle)) {
        return std::nullopt;
    }
    const std::size_t second = middle == '\0' ? first_end : first_end + 1;
    const std::size_t end =
        middle == '\0' ? second : std::min(rest.find_first_not_of(digits, second), rest.size());
    const std::optional<unsigned> a = number_in(rest.substr(0, first_end));
    const std::optional<unsigned> b =
        middle == '\0' ? 0 : number_in(rest.substr(second, end - second));
    const auto partition = partition_in(rest.substr(end), "p");
    if (!a || !b || !partition) {
        return std::nullopt;
    }
    std::optional<unsigned> number;
    if (family != DiskFamily::cciss) {
        number = a;
    } else if (*a == 0) {
        number = b; // the disks of further controllers come at a place that the name does not say
    }
    return DiskName{std::string(name.substr(0, front.size() + end)), family, number, *partition};
}

/// A name that ends in its partition in one of the ways of multipath and udev.
std::optional<std::optional<unsigned>> any_partition(std::string_view rest) {
    for (const std::string_view separator : {"-part", "_part", "p", ""}) {
        if (const auto partition = partition_in(rest, separator)) {
            return partition;
        }
    }
    return std::nullopt;
}

bool is_wwid(std::string_view text) {
    return text.size() >= 17 && std::string_view("123").find(text.front()) != text.npos &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// "/dev/mapper/mpatha2", "/dev/mapper/mpath0p1", "/dev/mapper/ALIAS-part1",
/// "/dev/mapper/3600508b1001c1234p1".
std::optional<DiskName> multipath(std::string_view name, std::size_t front,
                                  const std::set<std::string>& aliases) {
    const std::string_view rest = name.substr(front);
    std::size_t best = 0;
    for (const std::string& alias : aliases) {
        if (rest.starts_with(alias) && any_partition(rest.substr(alias.size()))) {
            best = std::max(best, alias.size());
        }
    }
    std::optional<unsigned> number;
    constexpr std::string_view usual = "mpath";
    if (rest.starts_with(usual)) {
        const std::string_view which = rest.substr(usual.size());
        const std::size_t letters = letters_end(which);
        if (letters > 1 && which[letters - 1] == 'p' && letters < which.size()) {
            best = std::max(best, usual.size() + letters - 1); // mpathap2
            number = letters_number(which.substr(0, letters - 1));
        } else if (letters > 0) {
            best = std::max(best, usual.size() + letters);
            number = letters_number(which.substr(0, letters));
        } else {
            const std::size_t end = std::min(which.find_first_not_of(digits), which.size());
            best = std::max(best, end == 0 ? best : usual.size() + end);
            number = number_in(which.substr(0, end));
        }
    } else if (best == 0) {
        const std::size_t end = std::min(rest.find_first_not_of("0123456789abcdef"), rest.size());
        best = is_wwid(rest.substr(0, end)) ? end : 0;
    }
    const auto partition = any_partition(rest.substr(best));
    if (best == 0 || !partition) {
        return std::nullopt;
    }
    return DiskName{std::string(name.substr(0, front + best)), DiskFamily::multipath, number,
                    *partition};
}

/// A name in /dev/disk/by-id or by-path.
std::optional<DiskName> linked(std::string_view name, std::string_view directory) {
    const std::string_view rest = name.substr(directory.size());
    // What lies on disks keeps its name with them.
    constexpr std::array<std::string_view, 7> kept{"dm-uuid-LVM-", "dm-uuid-CRYPT-", "dm-uuid-md-",
                                                   "md-",          "lvm-pv-uuid-",   "dm-name-",
                                                   "raid-"};
    const bool is_multipath = rest.starts_with("dm-name-mpath") || rest.starts_with("dm-name-3");
    if (rest.empty() || (!is_multipath && std::ranges::any_of(kept, [rest](auto front) {
            return rest.starts_with(front);
        }))) {
        return std::nullopt;
    }
    constexpr std::string_view part_front = "dm-uuid-part"; // dm-uuid-part2-mpath-3600...
    if (rest.starts_with(part_front)) {
        const std::size_t dash = std::min(rest.find('-', part_front.size()), rest.size());
        const std::optional<unsigned> number =
            number_in(rest.substr(part_front.size(), dash - part_front.size()));
        return number ? std::optional(
                            DiskName{fmt::format("{}dm-uuid{}", directory, rest.substr(dash)),
                                     DiskFamily::link, std::nullopt, number})
                      : std::nullopt;
    }
    for (const std::string_view separator : {"-part", "_part"}) {
        const std::size_t at = name.rfind(separator);
        const std::optional<unsigned> number =
            at == name.npos ? std::nullopt : number_in(name.substr(at + separator.size()));
        if (number) {
            return DiskName{std::string(name.substr(0, at)), DiskFamily::link, std::nullopt,
                            number};
        }
    }
    return DiskName{std::string(name), DiskFamily::link, std::nullopt, std::nullopt};
}

bool is_ext(std::string_view format) {
    return format == "ext2" || format == "ext3" || format == "ext4";
}

} // namespace

std::optional<DiskName> parse_disk_name(std::string_view name,
                                        const std::set<std::string>& aliases) {
    struct Letters {
        std::string_view front;
        DiskFamily family;
    };
    for (const std::string_view front : {"/dev/disk/by-id/", "/dev/disk/by-path/"}) {
        if (name.starts_with(front)) {
            return linked(name, front);
        }
    }
    for (const std::string_view front : {"/dev/mapper/", "/dev/mpath/"}) {
        if (name.starts_with(front)) {
            return multipath(name, front.size(), aliases);
        }
    }
    for (const Letters& kind : {Letters{"/dev/sd", DiskFamily::sd},
                                {"/dev/hd", DiskFamily::hd},
                                {"/dev/vd", DiskFamily::vd},
                                {"/dev/xvd", DiskFamily::xvd}}) {
        if (name.starts_with(kind.front)) {
            return lettered(name, kind.front, kind.family);
        }
    }
    for (const std::string_view front : {"/dev/cciss/c", "/dev/ida/c", "/dev/rd/c"}) {
        if (name.starts_with(front)) {
            return numbered(name, front, 'd', DiskFamily::cciss);
        }
    }
    if (name.starts_with("/dev/nvme")) {
        return numbered(name, "/dev/nvme", 'n', DiskFamily::nvme);
    }
    if (name.starts_with("/dev/mmcblk")) {
        return numbered(name, "/dev/mmcblk", '\0', DiskFamily::mmc);
    }
    return std::nullopt;
}

bool vm_offers(const DiskName& name) {
    return name.family == DiskFamily::sd || name.family == DiskFamily::vd;
}

DeviceNames::DeviceNames(const GuestSystem& system, const std::vector<std::string>& mentioned,
                         std::string_view root, std::set<std::string> aliases,
                         const std::optional<Inventory>& inventory)
    : volumes_(system.volumes), inventory_(inventory), aliases_(std::move(aliases)),
      root_text_(root) {
    disk_count_ = static_cast<unsigned>(std::max<std::size_t>(1, system.tables.size()));
    for (const std::string& name : mentioned) {
        if (const std::optional<DiskName> parsed = parse(name)) {
            families_.insert(parsed->family);
        }
    }
    const std::optional<DiskName> named = parse(root);
    const auto volume = std::ranges::find(volumes_, "/", &GuestVolume::mount_point);
    if (named && volume != volumes_.end() && volume->disk && volume->partition &&
        volume->partition == named->partition) {
        root_ = named;
        root_disk_ = *volume->disk;
    }
}

/// "/dev/sda" for a link to it, or for a multipath device above it; empty if that is not known.
std::string DeviceNames::server_disk(const DiskName& name) const {
    if (!inventory_) {
        return {};
    }
    const std::string last = name.disk.substr(name.disk.rfind('/') + 1);
    for (const InventoryDisk& disk : inventory_->disks) {
        if (disk.name == name.disk || std::ranges::find(disk.by_id, last) != disk.by_id.end() ||
            std::ranges::find(disk.by_path, last) != disk.by_path.end()) {
            return disk.name;
        }
    }
    const auto mapped = std::ranges::find(inventory_->mapped, last, &MappedDevice::name);
    return mapped == inventory_->mapped.end() || mapped->below.empty()
               ? std::string()
               : fmt::format("/dev/{}", mapped->below.front());
}

/// What the server had there, or nothing if the inventory does not say.
const FileSystemFacts* DeviceNames::server_volume(const DiskName& name) const {
    const std::string disk = server_disk(name);
    if (disk.empty() || !name.partition) {
        return nullptr;
    }
    const bool digit = disk.back() >= '0' && disk.back() <= '9';
    const std::string device = fmt::format("{}{}{}", disk, digit ? "p" : "", *name.partition);
    const auto found =
        std::ranges::find(inventory_->file_systems, device, &FileSystemFacts::device);
    return found == inventory_->file_systems.end() || found->uuid.empty() ? nullptr : &*found;
}

const GuestVolume* DeviceNames::with_uuid(std::string_view uuid) const {
    const auto found = std::ranges::find(volumes_, uuid, &GuestVolume::uuid);
    return found == volumes_.end() || std::ranges::count(volumes_, uuid, &GuestVolume::uuid) > 1
               ? nullptr
               : &*found;
}

/// The disk of the copy that holds what a disk of the server held.
std::optional<unsigned> DeviceNames::disk_by_inventory(const std::string& disk) const {
    for (const FileSystemFacts& file_system : inventory_->file_systems) {
        const std::optional<DiskName> name = parse(file_system.device);
        const GuestVolume* volume = name && name->disk == disk && !file_system.uuid.empty()
                                        ? with_uuid(file_system.uuid)
                                        : nullptr;
        if (volume != nullptr && volume->disk && volume->partition == name->partition) {
            return volume->disk;
        }
    }
    return std::nullopt;
}

std::optional<unsigned> DeviceNames::disk_of(const DiskName& name) const {
    if (const std::string disk = server_disk(name); !disk.empty()) {
        return disk_by_inventory(disk);
    }
    if (root_ && root_->disk == name.disk) {
        return root_disk_;
    }
    const auto says = [&name](std::string_view part) {
        return name.disk.find(part) != std::string::npos;
    };
    if (says("/by-id/usb-") || says("-usb-") || says("-iscsi-") || says("-fc-") ||
        (name.family == DiskFamily::cciss && !name.number)) {
        return std::nullopt; // a stick, a volume on the network, a disk of another controller
    }
    if (!name.number) {
        // With one disk a name without a number can only mean that one, unless the root says that
        // this is another of the same kind.
        const auto kind = [](const DiskName& link) {
            return link.disk.substr(0, link.disk.rfind('/'));
        };
        const bool other = root_ && root_->family == name.family && kind(*root_) == kind(name);
        return disk_count_ == 1 && !other ? std::optional(0U) : std::nullopt;
    }
    return disk_by_number(name);
}

std::optional<unsigned> DeviceNames::disk_by_number(const DiskName& name) const {
    if (root_ &&
        (root_->family == name.family ? root_->number != root_disk_
                                      : root_->family != DiskFamily::link || disk_count_ > 1)) {
        return std::nullopt; // the root shows that the numbers are not those of the copy
    }
    std::set<DiskFamily> others = families_;
    others.erase(name.family);
    others.erase(DiskFamily::link);
    if (!others.empty() || *name.number >= disk_count_) {
        return std::nullopt;
    }
    return name.number;
}

const GuestVolume* DeviceNames::find(std::string_view name) const {
    const std::optional<DiskName> parsed = parse(name);
    if (!parsed || !parsed->partition) {
        return nullptr;
    }
    if (const FileSystemFacts* on_server = server_volume(*parsed)) {
        return with_uuid(on_server->uuid);
    }
    const std::optional<unsigned> disk = disk_of(*parsed);
    const auto found = std::ranges::find_if(volumes_, [&](const GuestVolume& volume) {
        return disk && volume.disk == disk && volume.partition == parsed->partition;
    });
    return found == volumes_.end() ? nullptr : &*found;
}

bool DeviceNames::is_beyond(const DiskName& name) const {
    if (!server_disk(name).empty()) {
        return !disk_of(name);
    }
    return name.disk.find("/by-id/usb-") != std::string::npos ||
           (name.number && *name.number >= disk_count_ && !disk_of(name));
}

std::string DeviceNames::uuid_name(const GuestVolume& volume) const {
    const bool alone = std::ranges::count(volumes_, volume.uuid, &GuestVolume::uuid) == 1;
    const bool is_part = volume.format.ends_with("_member"); // of an array: its UUID is the array's
    return volume.uuid.empty() || !alone || is_part ? "" : fmt::format("UUID={}", volume.uuid);
}

bool fits_type(const GuestVolume& volume, std::string_view type) {
    return type.empty() || type == "auto" || type == volume.format ||
           (is_ext(type) && is_ext(volume.format)) ||
           (type == "msdos" && volume.format == "vfat") ||
           (type.starts_with("ntfs") && volume.format == "ntfs");
}

} // namespace coldspare::fixup
