#include "clone/disk.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"
#include "clone/buffer.hpp"
#include "clone/disk_nbd.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/sysfs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t smallest_sector = 512;

struct stat stat_of(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        throw system_error(fmt::format("cannot look at '{}'", path.string()), errno);
    }
    return status;
}

template <typename T>
T ask_device(int fd, unsigned long request, const fs::path& path) {
    T value{};
    if (::ioctl(fd, request, &value) != 0) {
        throw system_error(fmt::format("cannot ask '{}' for its size", path.string()), errno);
    }
    return value;
}

/// The sector size that an image was made for, where its partition table tells: a GPT header stands
/// in sector 1 (UEFI 2.10 5.3.2).
std::uint32_t sector_of_image(int fd) {
    constexpr std::string_view signature = "EFI PART";
    for (const std::uint32_t sector : {512U, 4096U}) {
        std::array<std::byte, 8> bytes{};
        if (read_at(fd, sector, bytes) == bytes.size() &&
            std::memcmp(bytes.data(), signature.data(), bytes.size()) == 0) {
            return sector;
        }
    }
    return 0;
}

} // namespace

std::uint32_t readable_unit(const DiskFacts& facts) {
    return std::max(facts.logical_sector, smallest_sector);
}

bool overlap(const DiskFacts& one, const DiskFacts& other) {
    const auto lies_on = [](const DiskFacts& disk, const DiskFacts& storage) {
        return !disk.origins.empty() &&
               std::ranges::find(storage.origins, disk.origins.front()) != storage.origins.end();
    };
    // Two loop devices on one file.
    const bool share_a_file = std::ranges::any_of(one.origins, [&](const std::string& origin) {
        return origin.starts_with("file:") &&
               std::ranges::find(other.origins, origin) != other.origins.end();
    });
    return share_a_file || lies_on(one, other) || lies_on(other, one);
}

DiskFacts read_disk_facts(const fs::path& path) {
    if (is_nbd_uri(path)) {
        return open_nbd(path, NbdUse::read, DirectIo::automatic)->facts();
    }
    const struct stat status = stat_of(path);
    DiskFacts facts;
    facts.name = path.string();
    if (S_ISBLK(status.st_mode)) {
        const Fd fd = open_file(path, O_RDONLY);
        facts.kind = DiskKind::block;
        facts.size = ask_device<std::uint64_t>(fd.get(), BLKGETSIZE64, path);
        facts.logical_sector =
            static_cast<std::uint32_t>(ask_device<int>(fd.get(), BLKSSZGET, path));
        facts.physical_sector = ask_device<std::uint32_t>(fd.get(), BLKPBSZGET, path);
        const sysfs::Identity identity = sysfs::identity_of(status.st_rdev);
        facts.model = identity.model;
        facts.serial = identity.serial;
        facts.wwn = identity.wwn;
        facts.origins = sysfs::origins_of_device(status.st_rdev);
    } else if (S_ISREG(status.st_mode)) {
        const Fd fd = open_file(path, O_RDONLY);
        facts.size = static_cast<std::uint64_t>(status.st_size);
        facts.logical_sector = sector_of_image(fd.get());
        facts.physical_sector = facts.logical_sector;
        facts.origins = sysfs::origins_of_file(status.st_dev, status.st_ino);
    } else {
        throw usage_error(
            fmt::format("'{}' is neither a block device nor an image file", path.string()),
            "'coldspare disks' lists the disks of this machine");
    }
    return facts;
}

void create_image(const fs::path& path, std::uint64_t size) {
    // It holds every secret of the server.
    const Fd fd = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
        const int reason = errno;
        fs::remove(path);
        throw system_error(
            fmt::format("cannot make '{}' {} long", path.string(), format_bytes(size)), reason);
    }
    sync_parent_directory(path);
}

void write_zeros(Disk& disk, std::uint64_t offset, std::uint64_t length) {
    constexpr std::uint64_t at_once = 1 << 20;
    AlignedBuffer zeros(static_cast<std::size_t>(std::min(length, at_once)));
    std::ranges::fill(zeros.span(), std::byte{0});
    for (std::uint64_t done = 0; done < length;) {
        const std::uint64_t piece = std::min(length - done, at_once);
        disk.write(offset + done, zeros.first(static_cast<std::size_t>(piece)));
        done += piece;
    }
}

} // namespace coldspare::clone
