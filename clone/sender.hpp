#pragma once

#include "clone/disk.hpp"
#include "clone/peers.hpp"
#include "clone/progress.hpp"

#include <optional>
#include <stop_token>
#include <string>

namespace coldspare::clone {

struct SendOptions {
    std::string program;          ///< "coldspare 0.1.0", told to the peer
    unsigned streams = 0;         ///< 0: as many as cores, at most 4
    std::optional<int> level = 1; ///< zstd level; nothing: store
    std::uint32_t block_size = default_block_size;
};

/// Serves `disk` to the first target that comes with the right token, and returns when that one has
/// said that everything is durable and the roots are equal. Blocks. Throws Error; with the peer's
/// own reason where it gave one.
[[nodiscard]] CopyReport send_disk(Disk& disk, Peers& peers, const SendOptions& options,
                                   const ProgressSink& progress, std::stop_token stop);

/// The number of data connections that `asked` (0: choose) stands for.
[[nodiscard]] unsigned streams_for(unsigned asked);

} // namespace coldspare::clone
