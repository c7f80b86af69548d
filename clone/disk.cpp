// Disks and image files through the kernel. Direct I/O where the file system and the device offer
// it: a page cache that fills with dirty pages makes progress a lie and reading back a test of
// memory. Offsets are aligned by contract; the odd tail of an image goes through a second, buffered
// descriptor of the same inode, and fdatasync covers both. Single sectors are read directly too:
// the page cache reads 4096 bytes for each, and one bad sector would take its good neighbours
// along.
#include "clone/disk.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"
#include "clone/buffer.hpp"
#include "clone/disk_nbd.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/range.hpp"
#include "clone/uses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view failing_source = "the disk may be failing: 'send --on-read-error skip' "
                                            "copies the rest; or save it with ddrescue, "
                                            "and clone the image that makes";
constexpr std::string_view failing_target = "the target may be full or failing: choose another";
constexpr std::uint32_t smallest_sector = 512;

/// What offsets and lengths of direct reads are multiples of: of a device its logical sector; of a
/// file whatever its file system says, which is found by asking for 512 bytes.
std::uint64_t unit_of_direct_reads(const DiskFacts& facts, const Fd& direct) {
    if (!direct) {
        return io_alignment;
    }
    if (facts.kind == DiskKind::block) {
        return readable_unit(facts);
    }
    AlignedBuffer probe(smallest_sector);
    const bool refused =
        ::pread(direct.get(), probe.span().data(), probe.size(), 0) < 0 && errno == EINVAL;
    return refused ? io_alignment : smallest_sector;
}

class LinuxDisk : public Disk {
public:
    LinuxDisk(DiskFacts facts, Fd buffered, Fd direct, TargetContent content)
        : facts_(std::move(facts)), buffered_(std::move(buffered)), direct_(std::move(direct)),
          read_unit_(unit_of_direct_reads(facts_, direct_)), content_(content) {}

    [[nodiscard]] const DiskFacts& facts() const override { return facts_; }

    void read(std::uint64_t offset, std::span<std::byte> into) override {
        try {
            read_once(offset, into);
        } catch (Error& error) {
            cache_by_page({offset, into.size()});
            if (into.size() <= io_alignment && direct_read_length(offset, into.size()) == 0 &&
                read_page(offset, into)) {
                return;
            }
            throw at(error, "reading", offset, failing_source);
        }
    }

    void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
        try {
            const std::size_t aligned = direct_length(bytes.size());
            if (aligned > 0) {
                write_at(direct_.get(), offset, bytes.first(aligned));
            }
            if (aligned < bytes.size()) {
                write_at(buffered_.get(), offset + aligned, bytes.subspan(aligned));
            }
        } catch (Error& error) {
            throw at(error, "writing", offset, failing_target);
        }
    }

    void zero(std::uint64_t offset, std::uint64_t length) override {
        if (content_ == TargetContent::zeros) {
            return;
        }
        try {
            if (!zero_by_kernel(offset, length)) {
                write_zeros(*this, offset, length);
            }
        } catch (Error& error) {
            throw at(error, "zeroing", offset, failing_target);
        }
    }

    void flush() override {
        if (::fdatasync(buffered_.get()) != 0) {
            throw system_error(fmt::format("cannot flush '{}' to its medium", facts_.name), errno,
                               "data written since the last flush may be lost: check the target, "
                               "then copy again");
        }
    }

    [[nodiscard]] Extent extent_at(std::uint64_t offset) override {
        const Extent unknown{facts_.size - offset, false};
        if (facts_.kind == DiskKind::block) {
            return unknown;
        }
        const auto from = static_cast<off_t>(offset);
        const off_t data = ::lseek(buffered_.get(), from, SEEK_DATA);
        if (data < 0) {
            // ENXIO: a hole up to the end, or the file was cut off, which a read will tell.
            // Anything else: the file system cannot tell.
            const bool hole = errno == ENXIO && is_whole();
            return hole ? Extent{unknown.length, true} : unknown;
        }
        const off_t end = data > from ? data : ::lseek(buffered_.get(), from, SEEK_HOLE);
        // The file may have grown or shrunk since it was opened: what counts is the disk's size.
        const auto length = static_cast<std::uint64_t>(std::max<off_t>(end - from, 0));
        return length == 0 ? unknown : Extent{std::min(length, unknown.length), data > from};
    }

    [[nodiscard]] std::unique_ptr<DiskQueue> open_queue(unsigned depth) override {
        std::unique_ptr<DiskQueue> queue;
        if (direct_) {
            queue = make_uring_queue(direct_.get(), depth, *this,
                                     [this](Transfer transfer, std::uint64_t offset, int error) {
                                         return transfer == Transfer::read
                                                    ? at(system_error("cannot read", error),
                                                         "reading", offset, failing_source)
                                                    : at(system_error("cannot write", error),
                                                         "writing", offset, failing_target);
                                     });
        }
        return queue ? std::move(queue) : Disk::open_queue(depth);
    }

private:
    /// Whether the file is still as long as it was when it was opened.
    [[nodiscard]] bool is_whole() const {
        struct stat status {};
        return ::fstat(buffered_.get(), &status) == 0 && status.st_size >= 0 &&
               static_cast<std::uint64_t>(status.st_size) >= facts_.size;
    }

    /// How much of a read of `length` can pass by the cache.
    [[nodiscard]] std::size_t direct_read_length(std::uint64_t offset, std::size_t length) const {
        return direct_ && offset % read_unit_ == 0 ? length / read_unit_ * read_unit_ : 0;
    }

    /// How much of a write of `length` can pass by the cache.
    [[nodiscard]] std::size_t direct_length(std::size_t length) const {
        return direct_ ? length / io_alignment * io_alignment : 0;
    }

    void read_once(std::uint64_t offset, std::span<std::byte> into) const {
        const std::size_t aligned = direct_read_length(offset, into.size());
        std::size_t got = 0;
        if (aligned > 0) {
            got = read_at(direct_.get(), offset, into.first(aligned));
        }
        if (got == aligned && aligned < into.size()) {
            got += read_at(buffered_.get(), offset + aligned, into.subspan(aligned));
        }
        if (got != into.size()) {
            throw Error("cannot read: the disk ends early");
        }
    }

    /// Again, after cache_by_page(): whether the page itself can be read, and only what the cache
    /// had around it could not.
    [[nodiscard]] bool read_page(std::uint64_t offset, std::span<std::byte> into) const {
        try {
            read_once(offset, into);
            return true;
        } catch (const Error&) {
            return false;
        }
    }

    /// The page cache reads ahead in folios of up to 2 MiB, and one that failed fails as a whole
    /// whenever a byte of it is asked for. Without reading ahead it takes single pages. A folio is
    /// forgotten only if all of it is to be, and nobody else is reading from it.
    void cache_by_page(Range failed) const {
        constexpr std::uint64_t folio = 2 << 20;
        const std::uint64_t begin = failed.offset / folio * folio;
        const std::uint64_t end = (failed.end() + folio - 1) / folio * folio;
        ::posix_fadvise(buffered_.get(), 0, 0, POSIX_FADV_RANDOM);
        ::posix_fadvise(buffered_.get(), static_cast<off_t>(begin), static_cast<off_t>(end - begin),
                        POSIX_FADV_DONTNEED);
    }

    [[nodiscard]] Error at(const Error& error, std::string_view action, std::uint64_t offset,
                           std::string_view hint) const {
        return Error(fmt::format("{} '{}' at {} ({}): {}", action, facts_.name, offset,
                                 format_bytes(offset), error.message()),
                     std::string(hint), error.status());
    }

    /// Lets the kernel make zeros. Never BLKDISCARD or a bare TRIM: what those leave is undefined.
    bool zero_by_kernel(std::uint64_t offset, std::uint64_t length) {
        const auto start = static_cast<off_t>(offset);
        const auto count = static_cast<off_t>(length);
        if (facts_.kind == DiskKind::block) {
            std::array<std::uint64_t, 2> range{offset, length};
            return offset % 4096 == 0 && length % 4096 == 0 &&
                   ::ioctl(buffered_.get(), BLKZEROOUT, range.data()) == 0;
        }
        return ::fallocate(buffered_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
                           count) == 0 ||
               ::fallocate(buffered_.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, start,
                           count) == 0;
    }

    DiskFacts facts_;
    Fd buffered_;
    Fd direct_;
    std::uint64_t read_unit_;
    TargetContent content_;
};

/// A second descriptor that passes by the cache, or none where that cannot be had.
Fd open_direct(const fs::path& path, int flags, DirectIo direct) {
    if (direct == DirectIo::off) {
        return {};
    }
    Fd fd(::open(path.c_str(), flags | O_DIRECT | O_CLOEXEC));
    if (!fd && direct == DirectIo::on) {
        throw system_error(fmt::format("cannot open '{}' for direct I/O", path.string()), errno,
                           "leave out --direct on");
    }
    if (fd && direct == DirectIo::automatic) {
        // Some file systems accept the flag and refuse the I/O.
        AlignedBuffer probe(io_alignment);
        if (::pread(fd.get(), probe.span().data(), probe.size(), 0) < 0 && errno == EINVAL) {
            return {};
        }
    }
    return fd;
}

} // namespace

std::unique_ptr<Disk> open_source(const fs::path& path, DirectIo direct) {
    if (is_nbd_uri(path)) {
        return open_nbd(path, NbdUse::read, direct);
    }
    DiskFacts facts = read_disk_facts(path);
    if (facts.size == 0) {
        throw Error(fmt::format("'{}' is empty: there is nothing to copy", path.string()));
    }
    Fd buffered = open_file(path, O_RDONLY);
    ::posix_fadvise(buffered.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    Fd unbuffered = open_direct(path, O_RDONLY, direct);
    return std::make_unique<LinuxDisk>(std::move(facts), std::move(buffered), std::move(unbuffered),
                                       TargetContent::unknown);
}

Error locked_by_another_run(std::string_view name) {
    return Error(fmt::format("'{}' is locked by another run", name), "wait until it has ended",
                 ExitStatus::locked);
}

namespace {

/// udev looks at a device under a lock of its own just after somebody closed it: worth a second.
void lock_target(int fd, const fs::path& path) {
    constexpr int attempts = 10;
    for (int i = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) {
        if (errno != EWOULDBLOCK) {
            throw system_error(fmt::format("cannot lock '{}'", path.string()), errno);
        }
        if (i == attempts) {
            throw locked_by_another_run(path.string());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    struct stat opened {};
    struct stat named {};
    if (::fstat(fd, &opened) != 0 || ::stat(path.c_str(), &named) != 0 ||
        opened.st_dev != named.st_dev || opened.st_ino != named.st_ino) {
        throw Error(fmt::format("'{}' was removed or replaced by another run", path.string()),
                    "run the command again", ExitStatus::locked);
    }
}

} // namespace

std::unique_ptr<Disk> open_target(const fs::path& path, DirectIo direct, TargetContent content) {
    if (is_nbd_uri(path)) {
        return open_nbd(path, NbdUse::write, direct);
    }
    DiskFacts facts = read_disk_facts(path);
    const int exclusive = facts.kind == DiskKind::block ? O_EXCL : 0;
    Fd buffered(::open(path.c_str(), O_RDWR | O_CLOEXEC | exclusive));
    if (!buffered && errno == EBUSY) {
        if (const std::vector<Use> uses = uses_of(path); !uses.empty()) {
            throw in_use(path.string(), uses);
        }
        throw refusal(fmt::format("overwrite '{}': the kernel says it is in use", path.string()),
                      "find out by whom with 'coldspare disks', and try again");
    }
    if (!buffered) {
        throw system_error(fmt::format("cannot open '{}' for writing", path.string()), errno);
    }
    lock_target(buffered.get(), path);
    // O_EXCL is held by the first descriptor; a second open with it would meet ourselves.
    Fd unbuffered = open_direct(path, O_RDWR, direct);
    return std::make_unique<LinuxDisk>(std::move(facts), std::move(buffered), std::move(unbuffered),
                                       content);
}

namespace {

/// Throws Error if pages of a file are still in the cache: reading those would prove nothing.
void require_cold(int fd, std::uint64_t size, const fs::path& path) {
    constexpr std::uint64_t window = std::uint64_t{1} << 30;
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> resident(static_cast<std::size_t>(window / page));
    for (std::uint64_t offset = 0; offset < size; offset += window) {
        const auto length = static_cast<std::size_t>(std::min(window, size - offset));
        void* map = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset));
        const bool known = map != MAP_FAILED && ::mincore(map, length, resident.data()) == 0;
        if (map != MAP_FAILED) {
            ::munmap(map, length);
        }
        const auto pages = static_cast<std::ptrdiff_t>((length + page - 1) / page);
        const bool cold =
            known && std::none_of(resident.begin(), resident.begin() + pages,
                                  [](unsigned char bits) { return (bits & 1U) != 0; });
        if (!cold) {
            throw Error(fmt::format("cannot read '{}' past the cache: its pages stay in memory",
                                    path.string()),
                        "end what else has it open, or keep the image on a file system with direct "
                        "I/O");
        }
    }
}

} // namespace

std::unique_ptr<Disk> open_for_verify(const fs::path& path) {
    if (is_nbd_uri(path)) {
        return open_nbd(path, NbdUse::read, DirectIo::automatic);
    }
    DiskFacts facts = read_disk_facts(path);
    Fd buffered = open_file(path, O_RDONLY);
    Fd unbuffered = open_direct(path, O_RDONLY, DirectIo::automatic);
    // For the tail, and for all of it where direct I/O is not to be had: clean pages go, dirty ones
    // are written first.
    if (::fdatasync(buffered.get()) != 0) {
        throw system_error(fmt::format("cannot flush '{}' to its medium", path.string()), errno,
                           "what was written last may be lost: check the disk, then copy again");
    }
    if (facts.kind == DiskKind::block && ::ioctl(buffered.get(), BLKFLSBUF, 0) != 0 &&
        !unbuffered) {
        throw system_error(fmt::format("cannot read '{}' past the cache", path.string()), errno,
                           "run as root");
    }
    ::posix_fadvise(buffered.get(), 0, 0, POSIX_FADV_DONTNEED);
    if (!unbuffered && facts.kind == DiskKind::file) {
        require_cold(buffered.get(), facts.size, path);
    }
    return std::make_unique<LinuxDisk>(std::move(facts), std::move(buffered), std::move(unbuffered),
                                       TargetContent::unknown);
}

} // namespace coldspare::clone
