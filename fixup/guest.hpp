#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace coldspare::fixup {

/// What the copied system is, as inspection saw it.
struct GuestSystem {
    std::string distro;                    ///< "debian"
    std::string product;                   ///< "12.5"
    std::string arch;                      ///< "x86_64"
    std::string package_format;            ///< "deb"
    std::vector<std::string> mount_points; ///< of every mounted file system, "/" first
};

enum class FileKind { absent, file, directory, symlink, other };

struct FileStatus {
    FileKind kind = FileKind::absent;
    std::uint64_t size = 0;
};

/// A command inside the guest that has ended; standard output and error are one text.
struct CommandOutput {
    int status = 0;
    std::string text;
};

/// The copied system with its file systems mounted, and its disk. Paths are absolute and are looked
/// up inside the guest: no symbolic link leads out of it. Every call throws Error when the guest
/// cannot answer; "there is none" is an answer.
class Guest {
public:
    virtual ~Guest() = default;

    [[nodiscard]] virtual GuestSystem system() = 0;

    /// Of the thing itself: a symbolic link is not followed.
    [[nodiscard]] virtual FileStatus status(const std::string& path) = 0;
    /// Names in a directory, sorted, without "." and ".."; none if there is no such directory.
    [[nodiscard]] virtual std::vector<std::string> names_in(const std::string& directory) = 0;
    /// The whole file, following links. Throws if it is absent or larger than `limit`.
    [[nodiscard]] virtual std::string read(const std::string& path, std::uint64_t limit) = 0;
    /// Replaces the content. An existing file keeps owner, mode and attributes; a new one belongs
    /// to root and gets `mode`. Missing directories are not made.
    virtual void write(const std::string& path, std::string_view content, mode_t mode) = 0;
    /// Removes a file. Throws if there is none.
    virtual void remove(const std::string& path) = 0;
    /// Bytes that root can still write to the file system that holds `path`.
    [[nodiscard]] virtual std::uint64_t free_bytes(const std::string& path) = 0;

    /// Runs a line of the guest's own /bin/sh as root inside the appliance, without a network.
    [[nodiscard]] virtual CommandOutput run(const std::string& line) = 0;

    /// Bytes of the whole disk; fewer than asked at its end.
    [[nodiscard]] virtual std::string read_disk(std::uint64_t offset, std::uint64_t size) = 0;
    /// The name under which run() finds the disk. Never /dev/sda: the appliance may number its
    /// disks differently at every start.
    [[nodiscard]] virtual std::string disk_name() const = 0;
};

} // namespace coldspare::fixup
