#pragma once

#include "clone/disk.hpp"
#include "clone/manifest.hpp"
#include "clone/peers.hpp"
#include "clone/progress.hpp"

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

namespace coldspare::clone {

enum class ReadBack { no, yes };

struct ReceiveOptions {
    std::string program;
    unsigned streams = 0; ///< as in SendOptions
    ReadBack read_back = ReadBack::no;
};

/// Called once, when the source has told what it has and before anything is planned: decides
/// whether the target may be written, and opens it. An Error (a refusal) goes to both sides.
using TargetOpener = std::function<std::unique_ptr<Disk>(const DiskFacts& source)>;

/// Called when every block is on the medium and checked, and before the source is told: makes the
/// manifest durable.
using ManifestKeeper = std::function<void(const Manifest&)>;

/// Opens the finished target for reading back (ReadBack::yes).
using VerifyOpener = std::function<std::unique_ptr<Disk>()>;

/// Receives one disk. When it returns, all bytes were flushed without an error, the root is the
/// source's, and the manifest is in place. Blocks. Throws Error.
[[nodiscard]] CopyReport receive_disk(Peers& peers, const ReceiveOptions& options,
                                      const TargetOpener& open_target, const ManifestKeeper& keep,
                                      const VerifyOpener& open_for_verify,
                                      const ProgressSink& progress, std::stop_token stop);

} // namespace coldspare::clone
