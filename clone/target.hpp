#pragma once

#include "clone/disk.hpp"

#include <filesystem>
#include <memory>

namespace coldspare::clone {

enum class Existing { refuse, erase };

struct TargetRequest {
    std::filesystem::path path;
    Existing existing = Existing::refuse; ///< what to do with a device or a file that is there
    DirectIo direct = DirectIo::automatic;
    std::filesystem::path state_dir; ///< for manifest_path()
};

/// The target of one run: what may be destroyed is decided here. A file that this run made is
/// removed again unless keep() was called; nothing else is ever removed but the old manifest.
class Target {
public:
    explicit Target(TargetRequest request);
    ~Target();
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    /// What can be refused without knowing the source: an existing file or a device without
    /// Existing::erase; a mounted, held or attached one. Throws Error (status 4). Writes nothing.
    void check() const;

    /// check(), then check_fits(), then opens it: a missing file is made in the source's size, an
    /// old manifest is removed durably before the first write. Throws Error.
    [[nodiscard]] std::unique_ptr<Disk> open(const DiskFacts& source);

    /// The copy is complete: the file stays.
    void keep() { made_ = false; }

    [[nodiscard]] const std::filesystem::path& path() const { return request_.path; }
    [[nodiscard]] std::filesystem::path manifest() const;

private:
    TargetRequest request_;
    bool made_ = false;
};

/// Refuses (status 4) a target that is smaller than the source, has another sector size, or shares
/// bytes with it. A pure function.
void check_fits(const DiskFacts& source, const DiskFacts& target);

} // namespace coldspare::clone
