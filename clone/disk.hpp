#pragma once

#include "base/error.hpp"
#include "clone/disk_queue.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace coldspare::clone {

enum class DiskKind {
    file,
    block,
    nbd, ///< an export of an NBD server (clone/disk_nbd.hpp)
};

/// What is known of a disk. Sector sizes are 0 where they are not known (an image file whose
/// content does not tell).
struct DiskFacts {
    std::string name; ///< as it was asked for: path of the device or the image, URI of the export
    DiskKind kind = DiskKind::file;
    std::uint64_t size = 0;
    std::uint32_t logical_sector = 0;
    std::uint32_t physical_sector = 0;
    std::string model;
    std::string serial;
    std::string wwn;
    /// What the bytes are stored on, as names that are equal on one running machine only. The first
    /// is the disk itself; the others are what shares bytes with it: the disk around a partition, a
    /// disk's partitions, the file behind a loop device (docs/PROTOCOL.md 5, DISK).
    std::vector<std::string> origins;
};

/// Whether a byte of one is a byte of the other, as far as origins tell.
[[nodiscard]] bool overlap(const DiskFacts& one, const DiskFacts& other);

/// What is known of the bytes from some offset on, without reading them.
struct Extent {
    std::uint64_t length = 0;
    bool zero = false; ///< a hole of an image: reads as zeros
};

/// The smallest piece that can be read of a disk: its logical sector, or 512 bytes where it knows
/// none.
[[nodiscard]] std::uint32_t readable_unit(const DiskFacts& facts);

/// A disk, an image, or a stand-in for one. Calls block and may come from several threads at once;
/// ranges lie inside [0, size). Buffers come from AlignedBuffer and offsets are multiples of
/// io_alignment; only the last range of a disk may have an odd length. Throws Error with offset.
///
/// A read may be finer: it may begin and end at a multiple of readable_unit(facts()), into the same
/// place that it would have in an aligned buffer. It then touches nothing but what it asks for, if
/// the disk was opened with direct I/O and the kernel allows that size; else the page around it.
class Disk {
public:
    virtual ~Disk() = default;
    [[nodiscard]] virtual const DiskFacts& facts() const = 0;
    /// Reads exactly `into.size()` bytes; a short read inside the disk is an Error.
    virtual void read(std::uint64_t offset, std::span<std::byte> into) = 0;
    virtual void write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
    /// Makes [offset, offset + length) read back as zeros, by the cheapest way that is sure.
    virtual void zero(std::uint64_t offset, std::uint64_t length) = 0;
    /// fdatasync(2): returns when all that was written is on the medium. An Error is final: what
    /// was written since the last flush is unknown, and asking again proves nothing.
    virtual void flush() = 0;
    /// What is known of [offset, offset + length), for a length of at least 1 that it chooses.
    [[nodiscard]] virtual Extent extent_at(std::uint64_t offset) {
        return {facts().size - offset, false};
    }
    /// A queue for one worker, which outlives nothing of the disk.
    [[nodiscard]] virtual std::unique_ptr<DiskQueue> open_queue(unsigned /*depth*/) {
        return std::make_unique<SynchronousQueue>(*this);
    }
};

/// Writes zeros there, where a disk has no cheaper way. Throws what write() throws.
void write_zeros(Disk& disk, std::uint64_t offset, std::uint64_t length);

/// Whether I/O passes by the page cache.
enum class DirectIo { automatic, on, off };

// Wherever a path is asked for below, it may be the URI of an NBD export as well.

/// The facts of a device or image without opening it for I/O; of an export by connecting to its
/// server for a moment. Throws Error.
[[nodiscard]] DiskFacts read_disk_facts(const std::filesystem::path& path);

/// Opens a source, read-only: `write` and `zero` are errors.
[[nodiscard]] std::unique_ptr<Disk> open_source(const std::filesystem::path& path, DirectIo direct);

/// What the target file is before the copy starts.
enum class TargetContent {
    unknown, ///< zeros must be written
    zeros,   ///< reads back as zeros everywhere (a file made by this run)
};

/// Opens a target for writing (and reading back), a block device with O_EXCL, and takes flock(2)
/// on it. Throws Error: status 5 if another run holds the lock, 4 if a device is in use.
[[nodiscard]] std::unique_ptr<Disk> open_target(const std::filesystem::path& path, DirectIo direct,
                                                TargetContent content);

/// The Error (status 5) that open_target() throws where another run has the target.
[[nodiscard]] Error locked_by_another_run(std::string_view name);

/// Opens a finished copy for reading its medium back: past the page cache, or with the cache of the
/// file dropped first where direct I/O is not to be had. Of an NBD export nobody knows what cache
/// its server reads from.
[[nodiscard]] std::unique_ptr<Disk> open_for_verify(const std::filesystem::path& path);

/// Creates an image file of `size` bytes, sparse. Throws Error; never replaces an existing file.
void create_image(const std::filesystem::path& path, std::uint64_t size);

} // namespace coldspare::clone
