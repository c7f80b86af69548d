#pragma once

#include "clone/disk.hpp"
#include "clone/range.hpp"

#include <vector>

namespace coldspare::clone {

/// Another disk of which some ranges are zeros: they are not read. It outlives nothing of `disk`,
/// and is read only.
class MaskedDisk : public Disk {
public:
    /// `masked`: sorted and disjoint, on multiples of 512 bytes (the last one may end with the
    /// disk).
    MaskedDisk(Disk& disk, std::vector<Range> masked);

    [[nodiscard]] const DiskFacts& facts() const override { return disk_.facts(); }
    void read(std::uint64_t offset, std::span<std::byte> into) override;
    void write(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void zero(std::uint64_t offset, std::uint64_t length) override;
    void flush() override { disk_.flush(); }
    [[nodiscard]] Extent extent_at(std::uint64_t offset) override;
    [[nodiscard]] std::unique_ptr<DiskQueue> open_queue(unsigned depth) override;

private:
    /// The first of masked_ that ends behind `offset`.
    [[nodiscard]] std::vector<Range>::const_iterator first_behind(std::uint64_t offset) const;

    Disk& disk_;
    std::vector<Range> masked_;
};

} // namespace coldspare::clone
