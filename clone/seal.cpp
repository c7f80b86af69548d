#include "clone/seal.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/buffer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <random>
#include <sstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

std::string line_of(const fs::path& path) {
    return std::string(trim(read_file(path, 4096)));
}

std::int64_t nanoseconds(const statx_timestamp& time) {
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

std::string seal_of_file(const struct statx& status) {
    return fmt::format("file {} {} {} {} {}", status.stx_ino,
                       (status.stx_mask & STATX_BTIME) != 0 ? nanoseconds(status.stx_btime) : 0,
                       status.stx_size, nanoseconds(status.stx_mtime),
                       nanoseconds(status.stx_ctime));
}

/// The whole disk around a partition: a write to either may change both.
fs::path whole_disk(dev_t device) {
    const fs::path path = fs::canonical(
        fmt::format("/sys/dev/block/{}:{}", gnu_dev_major(device), gnu_dev_minor(device)));
    return fs::exists(path / "partition") ? path.parent_path() : path;
}

/// Whether nobody but this machine can write it, and only through this device.
bool is_ours_alone(const fs::path& disk) {
    constexpr std::array<std::string_view, 4> plain{"sd", "hd", "nvme", "mmcblk"};
    const std::string name = disk.filename().string();
    const bool known =
        std::ranges::any_of(plain, [&](std::string_view start) { return name.starts_with(start); });
    const std::string path = disk.string();
    // iSCSI, Fibre Channel, SAS expanders and enclosures that others share, and NVMe over a network
    // or several paths; what a hypervisor gives, it can write as well.
    constexpr std::array<std::string_view, 6> shared{"/session",  "/rport-", "/expander-",
                                                     "/virtual/", "/virtio", "/vmbus"};
    return known && std::ranges::none_of(shared, [&](std::string_view part) {
               return path.find(part) != std::string::npos;
           });
}

std::string seal_of_device(dev_t device) {
    const fs::path disk = whole_disk(device);
    if (!is_ours_alone(disk) || line_of(disk / "queue/iostats") != "1") {
        return {};
    }
    // Reads: 4 fields. Writes: requests, merged, sectors, time. Then 3 others, and discards.
    std::istringstream text(line_of(disk / "stat"));
    std::vector<std::string> fields;
    for (std::string field; text >> field;) {
        fields.push_back(field);
    }
    if (fields.size() < 15) { // Linux before 4.18 does not count discards.
        return {};
    }
    // diskseq (Linux 5.15): another one after each time that it was plugged in.
    return fmt::format("device {} {} {}:{} {} {} {} {}", line_of("/proc/sys/kernel/random/boot_id"),
                       line_of(disk / "diskseq"), gnu_dev_major(device), gnu_dev_minor(device),
                       fields[4], fields[6], fields[11], fields[13]);
}

} // namespace

std::string seal_of(const fs::path& target) {
    struct statx status {};
    if (::statx(AT_FDCWD, target.c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &status) != 0) {
        return {};
    }
    try {
        if (S_ISREG(status.stx_mode)) {
            return seal_of_file(status);
        }
        if (S_ISBLK(status.stx_mode)) {
            return seal_of_device(gnu_dev_makedev(status.stx_rdev_major, status.stx_rdev_minor));
        }
    } catch (const std::exception&) {
        // What the kernel does not tell proves nothing.
    }
    return {};
}

bool samples_match(Disk& medium, const Geometry& geometry, std::span<const Leaf> leaves) {
    constexpr unsigned samples = 64;
    AlignedBuffer buffer(geometry.block_size);
    const auto matches = [&](std::uint64_t block) {
        const std::uint64_t offset = block * geometry.block_size;
        const auto bytes = buffer.span().first(geometry.length_at(offset));
        medium.read(offset, bytes);
        return hash_block(bytes) == leaves[static_cast<std::size_t>(block)];
    };
    std::mt19937_64 chance(std::random_device{}());
    std::uniform_int_distribution<std::uint64_t> any(0, geometry.block_count() - 1);
    try {
        bool good = matches(0) && matches(geometry.block_count() - 1);
        for (unsigned i = 0; good && i < samples; ++i) {
            good = matches(any(chance));
        }
        return good;
    } catch (const Error&) {
        return false;
    }
}

} // namespace coldspare::clone
