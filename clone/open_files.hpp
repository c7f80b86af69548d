#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

/// Which programs have a file or a device open. All answers are of this moment.
namespace coldspare::clone {

struct OpenFile {
    std::string program;
    pid_t process = 0;
};

/// The programs that have this file or device open, but not this one itself. Without being root
/// only one's own are seen.
[[nodiscard]] std::vector<OpenFile> programs_with(const std::filesystem::path& path);

/// Whether QEMU or one of its tools has the image or device open: it locks bytes 100 to 299 of what
/// it uses (QEMU, block/file-posix.c).
[[nodiscard]] bool open_in_qemu(const std::filesystem::path& path);

/// Whether the kernel refuses to give the device to one alone (open(2), O_EXCL): then it is
/// mounted, held, or another program has it for itself.
[[nodiscard]] bool is_claimed(const std::filesystem::path& device);

/// Whether somebody has locked it with flock(2), as a run of ours does with its target.
[[nodiscard]] bool is_locked(const std::filesystem::path& path);

} // namespace coldspare::clone
