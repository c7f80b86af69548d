#pragma once

#include "clone/disk.hpp"
#include "clone/disk_view.hpp"

#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace coldspare::clone {

/// A target seen as its source: as large, and every byte where the source has it. What is moved is
/// read and written where it lies on `disk`; what is kept reads as it was on the source, and may be
/// written only as that; all else reads as zeros, and writing it does nothing. As any Disk it may
/// be used from several threads.
class MappedDisk : public Disk {
public:
    /// `view` has no fault_of(). Throws Error if the disk is shorter than it needs.
    MappedDisk(std::unique_ptr<Disk> disk, DiskView view);

    [[nodiscard]] const DiskFacts& facts() const override { return facts_; }
    void read(std::uint64_t offset, std::span<std::byte> into) override;
    void write(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void zero(std::uint64_t offset, std::uint64_t length) override;
    void flush() override { disk_->flush(); }
    [[nodiscard]] std::unique_ptr<DiskQueue> open_queue(unsigned depth) override;

    [[nodiscard]] Disk& below() { return *disk_; }

private:
    template <typename Moved, typename Kept>
    void for_each_part(Range range, const Moved& moved, const Kept& kept) const;
    void require_inside(std::string_view action, Range range) const;
    void require_kept(const TableRegion& region, std::uint64_t offset,
                      std::span<const std::byte> bytes) const;
    void write_below(std::uint64_t offset, std::span<const std::byte> bytes);
    void zero_below(Range range);
    /// Changes a part of one page; two moves may meet in it.
    template <typename Change>
    void change_page(std::uint64_t offset, std::size_t length, const Change& change);

    std::unique_ptr<Disk> disk_;
    DiskView view_;
    DiskFacts facts_;
    std::mutex pages_;
};

/// Writes bytes from any place in memory to any place of a disk that else wants whole pages.
void write_anywhere(Disk& disk, std::uint64_t offset, std::span<const std::byte> bytes);

} // namespace coldspare::clone
