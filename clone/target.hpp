#pragma once

#include "clone/disk.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

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
    void check();

    /// check(), which must find the very disk that it found before; then check_fits(), then opens
    /// it: a missing file is made in the source's size, an old manifest is removed durably before
    /// the first write. Throws Error.
    [[nodiscard]] std::unique_ptr<Disk> open(const DiskFacts& source);

    /// Throws Error if the path no longer names what open() opened: a copy that nobody can find.
    void check_still_there() const;

    /// The copy is complete: the file stays.
    void keep() { made_ = false; }

    [[nodiscard]] const std::filesystem::path& path() const { return request_.path; }
    [[nodiscard]] std::filesystem::path manifest() const;

private:
    /// Which disk or file the path named; numbers of the kernel, good while it runs.
    struct Stamp {
        dev_t device = 0;
        ino_t inode = 0;
        dev_t node = 0;
        std::uint64_t size = 0;
        std::string serial;
        std::string wwn;
        bool operator==(const Stamp&) const = default;
    };
    [[nodiscard]] static std::optional<Stamp> look(const std::filesystem::path& path);

    TargetRequest request_;
    bool checked_ = false;
    std::optional<Stamp> seen_; ///< by check(); nothing: there was no such file
    std::optional<Stamp> opened_;
    bool made_ = false;
};

/// Whether a file at this path would lie in memory (tmpfs, ramfs) and be gone at the next boot.
[[nodiscard]] bool lies_in_memory(const std::filesystem::path& path);

/// Refuses (status 4) a target that is smaller than the source, has another sector size, or shares
/// bytes with it. A pure function.
void check_fits(const DiskFacts& source, const DiskFacts& target);

} // namespace coldspare::clone
