#include "clone/target_layout.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/buffer.hpp"
#include "clone/grow_fs.hpp"
#include "clone/table_bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <thread>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

bool has_gpt(const TableRegions& regions) {
    return std::ranges::any_of(regions, [](const TableRegion& region) {
        for (std::size_t at = 0; at + 512 <= region.bytes.size() && at <= 4096; at += 512) {
            if (std::memcmp(region.bytes.data() + at, "EFI PART", 8) == 0) {
                return true;
            }
        }
        return false;
    });
}

/// libparted must see what we see, on the source and on the target.
void require_second_opinion(const Layout& layout, const TableRegions& told,
                            std::uint64_t source_size) {
    require_same_by_libparted(layout.source, told, source_size);
    PartitionTable planned = layout.source;
    for (std::size_t i = 0; i < planned.partitions.size(); ++i) {
        planned.partitions[i].range = layout.partitions[i].target;
    }
    require_same_by_libparted(planned, layout.table, layout.target.size);
}

/// The bytes of a disk at any place.
std::vector<std::byte> bytes_at(Disk& disk, Range range) {
    const std::uint64_t first = range.offset / io_alignment * io_alignment;
    const std::uint64_t end =
        std::min((range.end() + io_alignment - 1) / io_alignment * io_alignment, disk.facts().size);
    AlignedBuffer buffer(static_cast<std::size_t>(end - first));
    disk.read(first, buffer.span());
    const std::span<std::byte> part = buffer.span().subspan(
        static_cast<std::size_t>(range.offset - first), static_cast<std::size_t>(range.length));
    return {part.begin(), part.end()};
}

/// A GPT that was there before an MBR would be found by its second header, which lies last.
void forget_older_gpt(MappedDisk& disk, const Layout& layout) {
    const std::uint32_t sector = layout.source.sector;
    const std::uint64_t last = layout.target.size / sector * sector - sector;
    const bool free = std::ranges::none_of(
        layout.partitions, [&](const PlannedPartition& each) { return each.target.end() > last; });
    const std::vector<std::byte> bytes = bytes_at(disk.below(), {last, sector});
    if (layout.source.kind == TableKind::dos && free &&
        std::memcmp(bytes.data(), "EFI PART", 8) == 0) {
        write_anywhere(disk.below(), last, std::vector<std::byte>(sector));
    }
}

/// Empty, or why the kernel goes on with the partitions that it knew.
std::string read_table_again(const fs::path& path) {
    if (!fs::is_block_file(path)) {
        return {};
    }
    constexpr int attempts = 10; // udev may have it open for a moment
    const Fd fd = open_file(path, O_RDONLY);
    for (int i = 0;; ++i) {
        // EINVAL: it is of a kind that has no partitions of its own.
        if (::ioctl(fd.get(), BLKRRPART) == 0 || errno == EINVAL) {
            return {};
        }
        if (errno != EBUSY || i == attempts) {
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return fmt::format(
        "the kernel has not read the new table of '{0}' ({1}): 'partprobe {0}' does, "
        "or the next boot",
        path.string(), std::strerror(errno));
}

} // namespace

DiskFacts TargetLayout::to_fit(DiskFacts source) const {
    if (options_) {
        source.size = 0;
    }
    return source;
}

void TargetLayout::plan_whole(const SourceTable& source, const LayoutTarget& target,
                              const Notice& notice) {
    try {
        layout_ = plan_whole_disk(source, target);
        if (layout_) {
            require_second_opinion(*layout_, table_, source.size);
        }
    } catch (const Error&) {
        layout_.reset(); // Copied as it is.
    }
    if (!layout_ && has_gpt(table_)) {
        notice(fmt::format("the second table of the GPT stays where it was, and not at the end of "
                           "'{}': the table of '{}' is not wholly understood",
                           target.name, source.name));
    }
}

void TargetLayout::plan(const DiskFacts& source, const DiskFacts& target, const Notice& notice) {
    layout_.reset();
    shown_ = nullptr;
    const SourceTable from{source.name, source.size, source.logical_sector, table_};
    const LayoutTarget to{target.name, target.size,
                          target.kind == DiskKind::block ? target.logical_sector : 0};
    if (options_) {
        if (table_.empty()) {
            throw table_refusal("is none that is known, or cannot be read");
        }
        layout_ = plan_layout(from, to, options_->layout);
        require_second_opinion(*layout_, table_, source.size);
    } else if (target.size > source.size) {
        plan_whole(from, to, notice);
    }
    if (!layout_) {
        return;
    }
    for (const std::string& line : options_ ? layout_->lines() : layout_->notes) {
        notice(line);
    }
    if (options_ && options_->dry_run == DryRun::yes) {
        throw Error("a dry run: the plan was shown, and nothing is copied",
                    "run the same command without --dry-run", ExitStatus::incomplete);
    }
}

std::unique_ptr<Disk> TargetLayout::show(std::unique_ptr<Disk> disk) {
    if (!layout_) {
        return disk;
    }
    auto shown = std::make_unique<MappedDisk>(std::move(disk), layout_->view);
    shown_ = shown.get();
    return shown;
}

std::unique_ptr<Disk> TargetLayout::show_medium(std::unique_ptr<Disk> disk) const {
    if (!layout_) {
        return disk;
    }
    return std::make_unique<MappedDisk>(std::move(disk), layout_->view);
}

std::vector<Range> TargetLayout::unwanted() const {
    return layout_ ? layout_->view.unwanted() : std::vector<Range>();
}

void TargetLayout::write_table(const std::function<std::unique_ptr<Disk>()>& open_medium) {
    if (!layout_) {
        return;
    }
    forget_older_gpt(*shown_, *layout_);
    for (const TableRegion& region : layout_->table) {
        write_anywhere(shown_->below(), region.offset, region.bytes);
    }
    shown_->flush();
    const std::unique_ptr<Disk> medium = open_medium();
    for (const TableRegion& region : layout_->table) {
        if (bytes_at(*medium, region.range()) != region.bytes) {
            throw Error(fmt::format("the new partition table of '{}' does not read back as it was "
                                    "written, at {}",
                                    medium->facts().name, region.offset),
                        "the medium is bad: choose another");
        }
    }
}

const PlannedPartition* TargetLayout::to_be_grown() const {
    if (!layout_ || !options_ || !layout_->grow ||
        options_->grow_file_system == GrowFileSystem::no) {
        return nullptr;
    }
    const auto found =
        std::ranges::find_if(layout_->partitions, [this](const PlannedPartition& each) {
            return each.source.number == *layout_->grow && each.copied;
        });
    return found == layout_->partitions.end() ? nullptr : &*found;
}

void TargetLayout::describe(Manifest& manifest, const fs::path& path) const {
    if (!layout_) {
        return;
    }
    manifest.view = layout_->view;
    for (const TableRegion& region : layout_->table) {
        manifest.table.push_back({region.range(), hash_block(region.bytes)});
    }
    if (const PlannedPartition* grown = to_be_grown();
        grown != nullptr && can_be_grown(path, grown->target)) {
        manifest.grown.push_back({grown->source.number, grown->source.range});
    }
}

std::vector<std::string> TargetLayout::finish(const fs::path& path, std::stop_token stop) const {
    std::vector<std::string> notes;
    if (!layout_) {
        return notes;
    }
    if (const PlannedPartition* grown = to_be_grown()) {
        notes.push_back(grow_file_system(path, grown->source.number, grown->target, stop));
    }
    if (std::string note = read_table_again(path); !note.empty()) {
        notes.push_back(std::move(note));
    }
    return notes;
}

bool has_its_table(Disk& medium, const Manifest& manifest) {
    return std::ranges::all_of(manifest.table, [&](const WrittenTable& table) {
        return inside(table.range, medium.facts().size) &&
               hash_block(bytes_at(medium, table.range)) == table.hash;
    });
}

std::unique_ptr<Disk> as_its_source(std::unique_ptr<Disk> medium, const Manifest& manifest) {
    if (!manifest.view) {
        return medium;
    }
    return std::make_unique<MappedDisk>(std::move(medium), *manifest.view);
}

} // namespace coldspare::clone
