#include "clone/uses.hpp"

#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/holder.hpp"
#include "clone/mounts.hpp"
#include "clone/open_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t table_limit = 4 << 20;
constexpr unsigned deepest = 16;            // of devices on devices
constexpr std::uint64_t sysfs_sector = 512; // whatever the sectors of the disk

std::string read_table(const fs::path& path) {
    try {
        return read_file(path, table_limit);
    } catch (const Error&) {
        return {};
    }
}

/// One look at everything. Uses are collected in `found`, from the device upwards.
class Look {
public:
    explicit Look(sysfs::Roots roots)
        : roots_(std::move(roots)),
          mounts_(parse_mounts(read_table(roots_.proc / "self/mountinfo"))),
          swaps_(parse_swaps(read_table(roots_.proc / "swaps"))) {}

    /// The device and its partitions; of a partition, the disk around it.
    void at_all_of(dev_t device) {
        const fs::path directory = sysfs::directory_of(device, roots_);
        if (directory.empty()) {
            return;
        }
        at_device(directory, 0);
        const fs::path disk = sysfs::disk_directory(device, roots_);
        if (disk != directory) {
            at_device(disk, 0);
        }
        at_partitions(directory, 0);
        at_other_paths(disk);
    }

    void at_device(const fs::path& directory, unsigned depth) {
        const std::optional<dev_t> device = sysfs::device_at(directory);
        if (!device || depth > deepest) {
            return;
        }
        const std::string name = name_at(directory);
        const std::string kernel_name = directory.filename().string();
        at_mounts(*device, name, kernel_name);
        for (const std::string& path : swaps_) {
            if (is_node_of(path, *device, kernel_name)) {
                add({UseKind::swap, kernel_name, path, fmt::format("'{}' is used as swap", name),
                     fmt::format("run 'swapoff {}'", path)});
            }
        }
        std::error_code none;
        for (const fs::directory_entry& entry :
             fs::directory_iterator(directory / "holders", none)) {
            const fs::path holder = fs::canonical(entry.path(), none);
            if (!none) {
                add(held_by(directory, holder));
                at_device(holder, depth + 1);
                at_partitions(holder, depth + 1);
            }
        }
        at_loops(kernel_name, name, depth,
                 [device](const sysfs::LoopFile& loop) { return loop.block_device == *device; });
    }

    void at_partitions(const fs::path& disk, unsigned depth) {
        for (const fs::path& partition : sysfs::partitions_of(disk)) {
            at_device(partition, depth);
        }
    }

    /// An image: the loop devices that it is attached to.
    void at_file(dev_t device, ino_t inode) {
        at_loops({}, {}, 0, [=](const sysfs::LoopFile& loop) {
            return loop.device == device && loop.inode == inode;
        });
        for (const std::string& path : swaps_) {
            struct stat status {};
            if (::stat(path.c_str(), &status) == 0 && status.st_dev == device &&
                status.st_ino == inode) {
                add({UseKind::swap,
                     {},
                     path,
                     "it is used as swap",
                     fmt::format("run 'swapoff {}'", path)});
            }
        }
    }

    /// A loop device: what uses its file by way of another one.
    void at_twins(const sysfs::LoopFile& file, const fs::path& self) {
        for (const fs::path& other : loops()) {
            const std::optional<sysfs::LoopFile> loop =
                other == self ? std::nullopt : sysfs::loop_file(roots_.dev / other);
            if (loop && loop->inode == file.inode && loop->device == file.device) {
                at_device(roots_.sys / "block" / other, 1);
                at_partitions(roots_.sys / "block" / other, 1);
            }
        }
    }

    void add(Use use) {
        if (std::ranges::find(found, use) == found.end()) {
            found.push_back(std::move(use));
        }
    }

    std::vector<Use> found;

private:
    bool is_node_of(const std::string& path, dev_t device, const std::string& kernel_name) const {
        struct stat status {};
        return path == "/dev/" + kernel_name ||
               (::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode) &&
                status.st_rdev == device);
    }

    void at_mounts(dev_t device, const std::string& name, const std::string& kernel_name) {
        const std::string number = fmt::format("{}:{}", ::major(device), ::minor(device));
        const std::vector<std::string> family = btrfs_with(kernel_name);
        bool seen = false;
        for (const Mount& mount : mounts_) {
            const bool of_family =
                mount.type == "btrfs" && std::ranges::any_of(family, [&](auto& one) {
                    return mount.source == "/dev/" + one ||
                           mount.source ==
                               "/dev/mapper/" + name_at(roots_.sys / "class/block" / one);
                });
            if (mount.device == number || of_family) {
                seen = seen || of_family;
                add({UseKind::mount, kernel_name, mount.point,
                     fmt::format("'{}' is mounted {} at '{}'", name,
                                 mount.read_only ? "read-only" : "read-write", mount.point),
                     fmt::format("unmount '{}'", mount.point), !mount.read_only});
            }
        }
        if (!family.empty() && !seen) {
            add({UseKind::mount, kernel_name, "btrfs",
                 fmt::format("'{}' is part of a btrfs that is mounted", name),
                 "unmount that file system"});
        }
    }

    /// The devices of the mounted btrfs that this one belongs to.
    [[nodiscard]] std::vector<std::string> btrfs_with(const std::string& kernel_name) const {
        std::vector<std::string> devices;
        std::error_code none;
        for (const fs::directory_entry& entry :
             fs::directory_iterator(roots_.sys / "fs/btrfs", none)) {
            const fs::path list = entry.path() / "devices";
            if (fs::exists(fs::symlink_status(list / kernel_name, none))) {
                for (const fs::directory_entry& one : fs::directory_iterator(list, none)) {
                    devices.push_back(one.path().filename().string());
                }
            }
        }
        return devices;
    }

    [[nodiscard]] std::vector<fs::path> loops() const {
        std::vector<fs::path> names;
        std::error_code none;
        for (const fs::directory_entry& entry :
             fs::directory_iterator(roots_.sys / "block", none)) {
            if (fs::exists(entry.path() / "loop", none)) { // attached
                names.push_back(entry.path().filename());
            }
        }
        std::ranges::sort(names);
        return names;
    }

    template <typename Wanted>
    void at_loops(const std::string& kernel_name, const std::string& name, unsigned depth,
                  Wanted wanted) {
        for (const fs::path& loop : loops()) {
            const std::optional<sysfs::LoopFile> file = sysfs::loop_file(roots_.dev / loop);
            if (!file || !wanted(*file)) {
                continue;
            }
            const fs::path directory = roots_.sys / "block" / loop;
            const std::string node = "/dev/" + loop.string();
            const std::string what = name.empty()
                                         ? fmt::format("it is attached to '{}'", node)
                                         : fmt::format("'{}' is attached to '{}'", name, node);
            add({UseKind::loop, kernel_name, node, what,
                 fmt::format("run 'losetup --detach {}'", node),
                 sysfs::attribute(directory / "ro") != "1"});
            at_device(directory, depth + 1);
            at_partitions(directory, depth + 1);
        }
    }

    /// Without multipath each path to a disk is a disk of its own, and only the WWN tells.
    void at_other_paths(const fs::path& disk) {
        const std::optional<dev_t> self = sysfs::device_at(disk);
        const std::string wwn = self ? sysfs::identity_of(*self, roots_).wwn : std::string();
        if (wwn.empty()) {
            return;
        }
        std::error_code none;
        for (const fs::directory_entry& entry :
             fs::directory_iterator(roots_.sys / "block", none)) {
            const std::optional<dev_t> other = sysfs::device_at(entry.path());
            if (!other || other == self || sysfs::identity_of(*other, roots_).wwn != wwn) {
                continue;
            }
            Look at_it(roots_);
            at_it.at_device(entry.path(), 1);
            at_it.at_partitions(entry.path(), 1);
            // Paths of one multipath device are all held by it.
            const bool known = std::ranges::all_of(at_it.found, [this](const Use& use) {
                return std::ranges::any_of(found, [&use](const Use& mine) {
                    return mine.kind == use.kind && mine.by == use.by;
                });
            });
            if (!known) {
                const std::string name = entry.path().filename().string();
                add({UseKind::other_path,
                     disk.filename().string(),
                     name,
                     fmt::format("'{}' is another path to the same disk", name),
                     {}});
                for (Use& use : at_it.found) {
                    add(std::move(use));
                }
            }
        }
    }

    sysfs::Roots roots_;
    std::vector<Mount> mounts_;
    std::vector<std::string> swaps_;
};

std::string quoted(std::span<const OpenFile> programs) {
    return fmt::format("'{}' (process {})", programs.front().program, programs.front().process);
}

/// What cannot be seen in /sys: whether a virtual machine has it open. libvirt gives QEMU device
/// nodes of its own, and a lock is on a node: so it is also asked who has the device.
void ask_qemu(const fs::path& path, const std::string& kernel_name, Look& look) {
    const std::vector<OpenFile> programs = programs_with(path);
    const bool has_it = std::ranges::any_of(
        programs, [](const OpenFile& each) { return each.program.starts_with("qemu"); });
    if (!has_it && !open_in_qemu(path)) {
        return;
    }
    look.add({UseKind::virtual_machine, kernel_name,
              programs.empty() ? std::string() : programs.front().program,
              programs.empty() ? "a virtual machine has it open"
                               : fmt::format("a virtual machine has it open: {}", quoted(programs)),
              "stop the virtual machine"});
}

/// Whether somebody has the device for himself alone; told only where nothing else explains it.
void ask_for_claim(const fs::path& path, const std::string& kernel_name, Look& look) {
    if (!look.found.empty() || !is_claimed(path)) {
        return;
    }
    const std::vector<OpenFile> programs = programs_with(path);
    const std::string by = programs.empty() ? std::string() : programs.front().program;
    look.add({UseKind::program, kernel_name, by,
              programs.empty()
                  ? fmt::format("'{}' is in use: the kernel gives it to nobody else", kernel_name)
                  : fmt::format("'{}' is in use by {}", kernel_name, quoted(programs)),
              programs.empty() ? "find out with 'fuser -v', and stop it"
                               : fmt::format("stop '{}'", by)});
}

} // namespace

std::string_view word_of(UseKind kind) {
    constexpr std::array<std::string_view, 13> words{
        "mount",  "swap",   "lvm",  "crypt",           "multipath", "device-mapper", "md",
        "bcache", "holder", "loop", "virtual-machine", "program",   "other-path"};
    return words.at(static_cast<std::size_t>(kind));
}

std::vector<Use> uses_of(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return {};
    }
    Look look({});
    if (S_ISREG(status.st_mode)) {
        look.at_file(status.st_dev, status.st_ino);
        ask_qemu(path, {}, look);
    } else if (S_ISBLK(status.st_mode)) {
        const fs::path directory = sysfs::directory_of(status.st_rdev);
        const fs::path disk = sysfs::disk_directory(status.st_rdev);
        look.at_all_of(status.st_rdev);
        if (const std::optional<sysfs::LoopFile> file =
                sysfs::loop_file("/dev" / disk.filename())) {
            look.at_twins(*file, disk.filename());
        }
        // Their locks are on the node: of the disk, or of one of its partitions.
        std::vector<fs::path> nodes = sysfs::partitions_of(directory);
        nodes.push_back(directory);
        nodes.push_back(disk);
        for (const fs::path& node : nodes) {
            ask_qemu("/dev" / node.filename(), node.filename().string(), look);
        }
        ask_for_claim(path, directory.filename().string(), look);
    }
    return std::move(look.found);
}

std::vector<Use> uses_of_device(dev_t device, const sysfs::Roots& roots) {
    Look look(roots);
    look.at_all_of(device);
    return std::move(look.found);
}

std::vector<Use> uses_of_range(const fs::path& path, Range range) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) {
        return uses_of(path);
    }
    const fs::path directory = sysfs::directory_of(status.st_rdev);
    Look look({});
    bool divided = false;
    for (const fs::path& partition : sysfs::partitions_of(directory)) {
        const std::uint64_t start = sysfs::number_at(partition / "start") * sysfs_sector;
        const std::uint64_t length = sysfs::number_at(partition / "size") * sysfs_sector;
        if (start < range.end() && range.offset < start + length) {
            look.at_device(partition, 0);
            ask_for_claim("/dev" / partition.filename(), partition.filename().string(), look);
            divided = true;
        }
    }
    look.at_device(directory, 0);
    // The claim of a partition is one of the disk too: it tells nothing of the others.
    if (!divided) {
        ask_for_claim(path, directory.filename().string(), look);
    }
    return std::move(look.found);
}

Error in_use(std::string_view name, std::span<const Use> uses) {
    constexpr std::size_t enough = 4;
    std::string what;
    for (const Use& use : uses.first(std::min(uses.size(), enough))) {
        what += (what.empty() ? "" : ", ") + use.what;
    }
    if (uses.size() > enough) {
        what += fmt::format(" and {} more", uses.size() - enough);
    }
    std::vector<std::string> steps; // what stands on top goes first
    for (auto use = uses.rbegin(); use != uses.rend(); ++use) {
        if (use->kind == UseKind::mount && use->by == "/") {
            return refusal(fmt::format("overwrite '{}': {}", name, what),
                           "this system runs from it: choose another target");
        }
        if (!use->way_out.empty() && std::ranges::find(steps, use->way_out) == steps.end()) {
            steps.push_back(use->way_out);
        }
    }
    std::string hint;
    for (const std::string& step : std::span(steps).first(std::min(steps.size(), enough))) {
        hint += (hint.empty() ? "" : ", then ") + step;
    }
    if (steps.size() > enough) {
        hint += fmt::format(", and so on: 'coldspare disks {}' lists all", name);
    }
    return refusal(fmt::format("overwrite '{}': {}", name, what), hint);
}

} // namespace coldspare::clone
