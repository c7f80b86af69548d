#pragma once

#include "clone/disk.hpp"
#include "clone/manifest.hpp"
#include "clone/messages.hpp"
#include "clone/partition_table.hpp"
#include "clone/peers.hpp"
#include "clone/progress.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// Where a copy is put, and what is remembered of it: the target's disk, its journal and its
/// manifest. In the order of a session: told_table, open, prove, begin, record for each epoch, then
/// open_medium and keep. After a lost connection the next session starts from the first again.
class Destination {
public:
    virtual ~Destination() = default;

    struct Opened {
        std::unique_ptr<Disk> disk;
        CopyMode mode = CopyMode::full;
        /// Whole blocks that may be there already, unless the mode is full: sorted and disjoint.
        /// They are read and compared, never believed.
        std::vector<Range> worth_reading;
        std::uint64_t full_copy_ms = 0; ///< Manifest::full_copy_ms of an earlier clone
        /// What the source need not read and sends as zeros: sorted and disjoint.
        std::vector<Range> unwanted{};
    };
    /// The source's partition table, before open().
    virtual void told_table(TableRegions /*table*/) {}

    /// The inventory of the source's machine as it came, before open(); parse_inventory() takes it.
    /// Empty if there is none.
    virtual void told_inventory(std::string_view /*inventory*/) {}

    /// The source has told what it has, and nothing is planned: decides whether the target may be
    /// written. An Error (a refusal) goes to both sides.
    [[nodiscard]] virtual Opened open(const DiskFacts& source, const Geometry& geometry) = 0;

    /// Right before the plan is told, with mode delta: the hashes of all that is there, if they are
    /// proved; then nothing of it is read. Else empty.
    [[nodiscard]] virtual std::vector<Leaf> prove(Disk& /*disk*/, const Geometry& /*geometry*/) {
        return {};
    }

    /// Both sides have agreed; the first write comes next. From here on the target is marked as
    /// unfinished.
    virtual void begin() = 0;

    /// These ranges are on the medium: remembers them durably.
    virtual void record(std::span<const Range> durable) = 0;

    /// The finished target, for reading its medium back.
    [[nodiscard]] virtual std::unique_ptr<Disk> open_medium() = 0;

    /// Every block is on the medium and checked, and the source is not told yet: makes the manifest
    /// durable.
    virtual void keep(Manifest manifest) = 0;
};

enum class ReadBack { no, yes };

/// When what was written is made durable: whatever comes first.
struct EpochLength {
    std::chrono::milliseconds time{2000};
    std::uint64_t bytes = std::uint64_t{2} << 30;
};

struct ReceiveOptions {
    std::string program;
    unsigned streams = 0; ///< as in SendOptions
    ReadBack read_back = ReadBack::no;
    EpochLength epoch;
};

/// A disk that is wanted, and what has become of it.
struct TargetDisk {
    /// Its name on the source or the end of it, its serial number or its WWN; empty: the only one.
    std::string wanted;
    Destination* destination = nullptr; ///< not owned
    std::optional<CopyReport> report;   ///< when it was received
};

/// Receives, one after the other, those of these disks that have no report yet. A disk's report
/// means that all its bytes were flushed without an error, the root is the source's, and the
/// manifest is in place. Nothing is written before every disk was found and every destination was
/// opened. Blocks. Throws Error, with status 3 if the connection was lost: the next session goes on
/// where this one was.
void receive_disks(std::span<TargetDisk> disks, Peers& peers, const ReceiveOptions& options,
                   const ProgressSink& progress, std::stop_token stop);

/// The same with the only disk of a source.
[[nodiscard]] CopyReport receive_disk(Peers& peers, const ReceiveOptions& options,
                                      Destination& destination, const ProgressSink& progress,
                                      std::stop_token stop);

/// Which of the source's disks is meant (TargetDisk::wanted). A pure function. Throws Error (usage)
/// if none is, or more than one.
[[nodiscard]] std::size_t find_wanted(std::string_view wanted, std::span<const DiskFacts> offered);

} // namespace coldspare::clone
