#pragma once

#include "clone/disk.hpp"
#include "clone/peers.hpp"
#include "clone/progress.hpp"
#include "clone/source_worker.hpp"

#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

namespace coldspare::clone {

struct SendOptions {
    std::string program;  ///< "coldspare 0.1.0", told to the peer
    unsigned streams = 0; ///< 0: as many as cores, at most 4
    Compression compression;
    std::uint32_t block_size = default_block_size;
    OnReadError on_read_error = OnReadError::skip;
    RateLimit limit;
    /// Asked in each session when the peer is there, because the answer is of its moment: what need
    /// not be read of the disk and is zeros on the target; sorted and disjoint. Empty function:
    /// nothing.
    std::function<std::vector<Range>(const DiskFacts&, std::stop_token)> find_free;
    /// Asked once in each session, if the target takes an inventory: what parse_inventory() takes,
    /// or nothing. Empty function: nothing.
    std::function<std::string()> inventory;
};

/// A disk that is served, and what has become of it.
struct SourceDisk {
    Disk* disk = nullptr;             ///< not owned
    bool inventoried = false;         ///< SendOptions::inventory is of its machine
    bool begun = false;               ///< the target has chosen it
    std::optional<CopyReport> report; ///< when it was copied
};

/// Serves these disks, at most most_disks, to a target, which chooses some and copies them one
/// after the other. Returns when it wants no more; each that it has said is durable, with equal
/// roots, has its report. Blocks. Throws Error; with the peer's own reason where it gave one; with
/// status 3 if the connection was lost: the next session with the same disks goes on where this one
/// was.
void send_disks(std::span<SourceDisk> disks, Peers& peers, const SendOptions& options,
                const ProgressSink& progress, std::stop_token stop);

/// The same with one disk, which must be copied.
[[nodiscard]] CopyReport send_disk(Disk& disk, Peers& peers, const SendOptions& options,
                                   const ProgressSink& progress, std::stop_token stop);

/// The number of data connections that `asked` (0: choose) stands for.
[[nodiscard]] unsigned streams_for(unsigned asked);

} // namespace coldspare::clone
