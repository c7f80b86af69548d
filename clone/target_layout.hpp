#pragma once

#include "clone/disk.hpp"
#include "clone/layout.hpp"
#include "clone/manifest.hpp"
#include "clone/mapped_disk.hpp"
#include "clone/peers.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace coldspare::clone {

enum class GrowFileSystem { no, yes };
enum class DryRun { no, yes };

/// How a target is asked to be laid out.
struct PartitionOptions {
    LayoutRequest layout;
    GrowFileSystem grow_file_system = GrowFileSystem::no;
    DryRun dry_run = DryRun::no;
};

/// The layout of one target, session by session: planned when the source has told its table, shown
/// to the engine as the source's disk, and written as a table when all else is there.
class TargetLayout {
public:
    explicit TargetLayout(std::optional<PartitionOptions> options) : options_(std::move(options)) {}

    void told(TableRegions table) { table_ = std::move(table); }

    /// The source as check_fits() is to see it: laid out, it may be larger than its target.
    [[nodiscard]] DiskFacts to_fit(DiskFacts source) const;

    /// Decides for this session, and tells the plan. A whole disk needs a layout only if its target
    /// is larger and it has a GPT. Throws Error: a refusal, a usage error, or the end of a dry run.
    void plan(const DiskFacts& source, const DiskFacts& target, const Notice& notice);

    /// The plan of the last plan(), if there is one.
    [[nodiscard]] const std::optional<Layout>& layout() const { return layout_; }

    /// The disk as its source; the disk itself without a plan. write_table() needs it, so it must
    /// live until then.
    [[nodiscard]] std::unique_ptr<Disk> show(std::unique_ptr<Disk> disk);
    /// The same for reading the medium back.
    [[nodiscard]] std::unique_ptr<Disk> show_medium(std::unique_ptr<Disk> disk) const;
    [[nodiscard]] std::vector<Range> unwanted() const;

    /// Makes the table durable, and reads it back from the medium, which is opened after that.
    /// Blocks. Throws Error.
    void write_table(const std::function<std::unique_ptr<Disk>()>& open_medium);

    /// Notes in the manifest how the target is laid out, with its table, and what will be grown.
    void describe(Manifest& manifest, const std::filesystem::path& path) const;

    /// After the manifest, with the disk closed: grows the file system that was asked for, and has
    /// the kernel read the new table. Returns what was done and what could not be. Blocks. Throws
    /// Error if a file system did not let itself be grown.
    [[nodiscard]] std::vector<std::string> finish(const std::filesystem::path& path,
                                                  std::stop_token stop) const;

private:
    void plan_whole(const SourceTable& source, const LayoutTarget& target, const Notice& notice);
    [[nodiscard]] const PlannedPartition* to_be_grown() const;

    std::optional<PartitionOptions> options_;
    TableRegions table_;
    std::optional<Layout> layout_;
    MappedDisk* shown_ = nullptr;
};

/// Whether the partition table that was made for a clone is still what was written. `medium` is the
/// target as it is. Throws what read() throws.
[[nodiscard]] bool has_its_table(Disk& medium, const Manifest& manifest);

/// A finished clone as its source: for verify().
[[nodiscard]] std::unique_ptr<Disk> as_its_source(std::unique_ptr<Disk> medium,
                                                  const Manifest& manifest);

} // namespace coldspare::clone
