#pragma once

#include "base/files.hpp"
#include "clone/sysfs.hpp"
#include "tests/support/temporary_directory.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <sys/sysmacros.h>

namespace coldspare {

/// Trees like /sys and /proc, for devices that this machine does not have.
class FakeSys {
public:
    FakeSys() {
        for (const char* directory :
             {"sys/dev/block", "sys/block", "sys/class/block", "proc/self"}) {
            std::filesystem::create_directories(directory_ / directory);
        }
        set(roots().proc / "self/mountinfo", "");
        set(roots().proc / "swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    }

    [[nodiscard]] clone::sysfs::Roots roots() const {
        return {.sys = directory_ / "sys", .proc = directory_ / "proc", .dev = directory_ / "dev"};
    }

    /// A disk whose directory is `place`/`name` below /sys/devices. Returns that directory.
    std::filesystem::path add_disk(const std::string& place, const std::string& name,
                                   unsigned major, unsigned minor) {
        return add(roots().sys / "devices" / place / name, major, minor);
    }

    std::filesystem::path add_partition(const std::filesystem::path& disk, unsigned number,
                                        unsigned major, unsigned minor) {
        const std::string name = fmt::format("{}{}", disk.filename().string(), number);
        const std::filesystem::path path = add(disk / name, major, minor);
        set(path / "partition", fmt::format("{}\n", number));
        return path;
    }

    /// A map of device-mapper that is made of `below`.
    std::filesystem::path add_map(const std::string& node, unsigned minor, const std::string& name,
                                  const std::string& uuid, const std::filesystem::path& below) {
        const std::filesystem::path path = add_disk("virtual/block", node, 253, minor);
        set(path / "dm/name", name + "\n");
        set(path / "dm/uuid", uuid + "\n");
        hold(below, path);
        return path;
    }

    static void hold(const std::filesystem::path& below, const std::filesystem::path& holder) {
        std::filesystem::create_directories(below / "holders");
        std::filesystem::create_directory_symlink(holder, below / "holders" / holder.filename());
    }

    static void set(const std::filesystem::path& file, const std::string& text) {
        std::filesystem::create_directories(file.parent_path());
        write_file_atomically(file, text);
    }

    /// Adds a line to /proc/self/mountinfo.
    void mount(const std::string& number, const std::string& point, const std::string& options,
               const std::string& type, const std::string& source) {
        mounts_ += fmt::format("36 35 {} / {} {} shared:1 - {} {} rw\n", number, point, options,
                               type, source);
        set(roots().proc / "self/mountinfo", mounts_);
    }

    void swap(const std::string& node) {
        set(roots().proc / "swaps",
            "Filename\tType\tSize\tUsed\tPriority\n" + node + "  partition\t1048572\t0\t-2\n");
    }

private:
    std::filesystem::path add(const std::filesystem::path& path, unsigned major, unsigned minor) {
        const std::string number = fmt::format("{}:{}", major, minor);
        set(path / "dev", number + "\n");
        std::filesystem::create_directory_symlink(path, roots().sys / "dev/block" / number);
        std::filesystem::create_directory_symlink(path,
                                                  roots().sys / "class/block" / path.filename());
        if (!std::filesystem::exists(path.parent_path() / "dev")) { // no partition
            std::filesystem::create_directory_symlink(path,
                                                      roots().sys / "block" / path.filename());
        }
        return path;
    }

    TemporaryDirectory directory_;
    std::string mounts_;
};

} // namespace coldspare
