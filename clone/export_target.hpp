#pragma once

#include "base/handle.hpp"
#include "clone/disk.hpp"
#include "clone/manifest.hpp"

#include <filesystem>
#include <memory>

namespace coldspare::clone {

/// The NBD export that a run writes to. It is connected to once and for the whole run, because some
/// servers serve one client and end with it, and because only over this connection it is sure to be
/// the same export.
class ExportTarget {
public:
    /// Connects, and locks the URI in `state_dir` against other runs (whoever uses another state
    /// directory or another machine is not seen). Throws Error: status 5 if it is locked; see
    /// open_target().
    ExportTarget(const std::filesystem::path& uri, DirectIo direct,
                 const std::filesystem::path& state_dir);

    [[nodiscard]] const DiskFacts& facts() const { return disk_->facts(); }

    /// The disk, for a session or for reading back. It must not outlive this.
    [[nodiscard]] std::unique_ptr<Disk> view();

    /// Whether what lies there is the clone that this manifest describes, as far as 256 blocks of
    /// it tell. A URI proves nothing: tomorrow it may name another disk.
    [[nodiscard]] bool holds_clone_of(const std::filesystem::path& manifest);

private:
    [[nodiscard]] bool holds(const Manifest& manifest);

    Fd lock_;
    std::unique_ptr<Disk> disk_;
};

} // namespace coldspare::clone
