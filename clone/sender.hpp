#pragma once

#include "clone/disk.hpp"
#include "clone/peers.hpp"
#include "clone/progress.hpp"
#include "clone/source_worker.hpp"

#include <functional>
#include <optional>
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
    /// not be read and is zeros on the target; sorted and disjoint. Empty function: nothing.
    std::function<std::vector<Range>(std::stop_token)> find_free;
};

/// Serves `disk` to a target, and returns when that one has said that everything is durable and the
/// roots are equal. Blocks. Throws Error; with the peer's own reason where it gave one; with status
/// 3 if the connection was lost: the next session with the same target goes on where this one was.
[[nodiscard]] CopyReport send_disk(Disk& disk, Peers& peers, const SendOptions& options,
                                   const ProgressSink& progress, std::stop_token stop);

/// The number of data connections that `asked` (0: choose) stands for.
[[nodiscard]] unsigned streams_for(unsigned asked);

} // namespace coldspare::clone
