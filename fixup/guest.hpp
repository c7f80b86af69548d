#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace coldspare::fixup {

/// What holds a file system, swap space or a part of something bigger: a partition, a logical
/// volume, an array, an opened LUKS volume.
struct GuestVolume {
    std::string device;                ///< as run() finds it: "/dev/disk/guestfs/fixdiska1"
    std::optional<unsigned> disk;      ///< of a partition: which disk, from 0 ...
    std::optional<unsigned> partition; ///< ... and its number, from 1
    std::string partition_type; ///< a GUID in upper case, or "0x83"; empty if it is no partition
    std::uint64_t start = 0;    ///< bytes from the start of the disk, of a partition
    std::uint64_t size = 0;     ///< of a partition; 0: not known
    std::string format;         ///< as blkid says: "ext4", "vfat", "swap", "LVM2_member", ...
    std::string uuid;           ///< of what is in it
    std::string label;
    std::string mount_point; ///< where it is mounted now, or empty
    friend bool operator==(const GuestVolume&, const GuestVolume&) = default;
};

/// What the copied system is, as inspection saw it.
struct GuestSystem {
    std::string distro;                    ///< "debian"
    std::string product;                   ///< "12.5"
    std::string arch;                      ///< "x86_64"
    std::string package_format;            ///< "deb"
    std::vector<std::string> mount_points; ///< of every mounted file system, "/" first
    std::vector<std::string> tables;       ///< of each disk: "gpt", "msdos", or empty
    std::vector<GuestVolume> volumes;
    bool runs_programs = true; ///< whether this host can run its programs
};

enum class FileKind { absent, file, directory, symlink, other };

struct FileStatus {
    FileKind kind = FileKind::absent;
    std::uint64_t size = 0;
    mode_t mode = 0; ///< permission bits
};

/// A command inside the guest that has ended; standard output and error are one text.
struct CommandOutput {
    int status = 0;
    std::string text;
};

/// The copied system with its file systems mounted, and its disks. Paths are absolute and are
/// looked up inside the guest: no symbolic link leads out of it. Every call throws Error when the
/// guest cannot answer; "there is none" is an answer.
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
    /// Adds bytes at the end of a file, which must be there.
    virtual void append(const std::string& path, std::string_view bytes) = 0;
    /// Removes a file or a link. Throws if there is none.
    virtual void remove(const std::string& path) = 0;
    /// Where a symbolic link leads, as written in it. Throws if it is none.
    [[nodiscard]] virtual std::string link_target(const std::string& path) = 0;
    /// Makes a symbolic link. Throws if something has the name.
    virtual void make_link(const std::string& path, const std::string& target) = 0;
    /// Makes a directory of root's with mode 0755; its parent must be there.
    virtual void make_directory(const std::string& path) = 0;
    /// Copies a file's content, however large; `to` is made or replaced.
    virtual void copy_file(const std::string& from, const std::string& to) = 0;
    /// Gives `path` the SELinux label of `model`, if that has one; the thing itself, not where it
    /// leads.
    virtual void label_like(const std::string& path, const std::string& model) = 0;
    /// Bytes that root can still write to the file system that holds `path`.
    [[nodiscard]] virtual std::uint64_t free_bytes(const std::string& path) = 0;

    /// Runs a line of the guest's own /bin/sh as root inside the appliance, without a network.
    [[nodiscard]] virtual CommandOutput run(const std::string& line) = 0;

    /// How many disks there are, in the order in which they were given; the first is disk 0.
    [[nodiscard]] virtual unsigned disk_count() const = 0;
    /// Bytes of a whole disk; fewer than asked at its end.
    [[nodiscard]] virtual std::string read_disk(unsigned disk, std::uint64_t offset,
                                                std::uint64_t size) = 0;
    /// The name under which run() finds a disk. Never /dev/sda: the appliance may number its
    /// disks differently at every start. A partition has its number behind it.
    [[nodiscard]] virtual std::string disk_name(unsigned disk) const = 0;
};

[[nodiscard]] inline bool exists(Guest& guest, const std::string& path) {
    return guest.status(path).kind != FileKind::absent;
}

/// A file, or nothing if it is absent, a directory or larger than any such file is.
[[nodiscard]] inline std::optional<std::string> text_of(Guest& guest, const std::string& path,
                                                        std::uint64_t limit) {
    const FileStatus status = guest.status(path);
    if (status.kind != FileKind::file || status.size > limit) {
        return std::nullopt;
    }
    return guest.read(path, limit);
}

} // namespace coldspare::fixup
