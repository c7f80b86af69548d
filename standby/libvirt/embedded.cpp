#include "standby/libvirt/embedded.hpp"

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <sys/stat.h>
#include <thread>

namespace coldspare::standby::libvirt {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds patience{20};

/// As root, because the copies lie where nobody else may go; QEMU's own sandbox is on by itself.
/// No owner of an image is changed: the clone is read-only, and stays as it is.
constexpr std::string_view settings =
    R"(# Made by coldspare for libvirt's driver inside its own process; it is not made again while it is here.
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
)";

void make_root(const fs::path& root) {
    make_parent_directories(root / "etc" / "qemu.conf",
                            "choose a --state-dir that can be written to");
    struct stat status {};
    if (::stat(root.c_str(), &status) != 0) {
        throw system_error(fmt::format("looking at '{}'", root.string()), errno);
    }
    constexpr mode_t others_write = S_IWGRP | S_IWOTH;
    if (status.st_uid != ::geteuid() || (status.st_mode & others_write) != 0) {
        throw refusal(
            fmt::format("keep virtual machines in '{}': others can write to it", root.string()),
            "it has to be yours, and mode 0755 or less");
    }
    const fs::path file = root / "etc" / "qemu.conf";
    if (!fs::exists(file)) {
        write_file_atomically(file, settings);
    }
}

/// The process that has the root, if it is another one. Not to be asked by the process that has it:
/// closing the file would give its lock away.
std::optional<pid_t> holder_of(const fs::path& root) {
    const fs::path file = root / "run" / "qemu" / "driver.pid";
    if (!fs::exists(file)) {
        return std::nullopt;
    }
    const Fd fd = open_file(file, O_RDONLY);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    // libvirt locks the first byte. A read-only descriptor may ask all the same.
    lock.l_len = 1;
    if (::fcntl(fd.get(), F_GETLK, &lock) != 0) {
        throw system_error(fmt::format("asking for the lock of '{}'", file.string()), errno);
    }
    return lock.l_type == F_UNLCK ? std::nullopt : std::optional(lock.l_pid);
}

void wait_for(const fs::path& root) {
    const TimePoint deadline = Clock::now() + patience;
    while (const std::optional<pid_t> holder = holder_of(root)) {
        if (Clock::now() > deadline) {
            throw Error(
                fmt::format("process {} uses the hypervisor in '{}'", *holder, root.string()),
                "a process has it for itself: wait for its end, or run libvirtd and say "
                "uri = \"qemu:///system\" in the standby's file",
                ExitStatus::locked);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

} // namespace

std::string embedded_uri(const fs::path& root) {
    std::string uri = "qemu:///embed?root=";
    for (const char c : root.string()) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') ||
                           std::string_view("/-._~").find(c) != std::string_view::npos;
        uri += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return uri;
}

Connection open_embedded(const fs::path& root) {
    static bool opened = false;
    if (!opened) {
        make_root(root);
        wait_for(root);
        // Read by libvirt once, when it starts. Its errors come as Error; QEMU's own log is kept.
        ::setenv("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null", 0);
        opened = true;
    }
    return open_connection(embedded_uri(root));
}

} // namespace coldspare::standby::libvirt
