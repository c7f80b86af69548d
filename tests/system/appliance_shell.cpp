// appliance-shell [--read-only] [--unsafe] [--format FORMAT] LABEL=IMAGE...
//
// One libguestfs appliance for the system tests, which build and compare disks that this machine's
// kernel may not understand: LVM, md, LUKS, vfat. A disk is /dev/disk/guestfs/LABEL in there, its
// first partition .../LABEL1. FORMAT is that of the images that follow it; --unsafe writes them
// without flushing, which is faster and fine for what can be built again.
//
// Reads one JSON array of strings a line on standard input, and answers each with a line on
// standard output, {"ok":true,"output":"..."} or {"ok":false,"output":"why not"}:
//
//   ["inside", COMMAND]       a shell command in the appliance itself, where the file systems that
//                             are mounted lie below /sysroot
//   ["guest", COMMAND]        a shell command in the system that is mounted, by its own programs
//   ["mount", DEVICE, POINT]  in the order in which they lie upon each other
//   ["inspect"]               finds the one system on the disks and mounts it; the mount points
//   ["unlock", DEVICE, NAME, PASSPHRASE]  a LUKS device becomes /dev/mapper/NAME
//   ["close"]                 unmounts, flushes and ends; the end of the input does not flush
//
// Not a part of coldspare: it says what the library does without coldspare's code.

#include "base/handle.hpp"

#include <nlohmann/json.hpp>

#include <guestfs.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <vector>

namespace {

using Words = std::vector<std::string>;
using CString = coldspare::Handle<char, std::free>;

// What the appliance of coldspare has, so that times can be compared.
constexpr int memory_mib = 1536;
constexpr int processors = 1;

/// How the disks that follow are opened.
struct DiskOptions {
    std::string format = "raw";
    std::string cache_mode = "writeback";
    int read_only = 0;
};

class Shell {
public:
    DiskOptions options;

    Shell() : guestfs_(guestfs_create()) {
        guestfs_set_error_handler(handle(), nullptr, nullptr);
        check(guestfs_set_memsize(handle(), memory_mib));
        check(guestfs_set_smp(handle(), processors));
        check(guestfs_set_append(handle(), "vsyscall=emulate"));
    }

    void add(const std::string& disk) {
        const std::size_t equals = disk.find('=');
        const std::string label = disk.substr(0, equals);
        const std::string image = disk.substr(equals + 1);
        check(guestfs_add_drive_opts(handle(), image.c_str(), GUESTFS_ADD_DRIVE_OPTS_FORMAT,
                                     options.format.c_str(), GUESTFS_ADD_DRIVE_OPTS_READONLY,
                                     options.read_only, GUESTFS_ADD_DRIVE_OPTS_LABEL, label.c_str(),
                                     GUESTFS_ADD_DRIVE_OPTS_CACHEMODE, options.cache_mode.c_str(),
                                     GUESTFS_ADD_DRIVE_OPTS_DISCARD, "besteffort", -1));
    }

    void launch() { check(guestfs_launch(handle())); }

    std::string obey(const Words& words) {
        const std::string& verb = words.at(0);
        if (verb == "inside") {
            return inside(words.at(1));
        }
        if (verb == "guest") {
            return guest(words.at(1));
        }
        if (verb == "mount") {
            check(guestfs_mount(handle(), words.at(1).c_str(), words.at(2).c_str()));
            return {};
        }
        if (verb == "inspect") {
            return inspect();
        }
        if (verb == "unlock") {
            check(guestfs_cryptsetup_open(handle(), words.at(1).c_str(), words.at(3).c_str(),
                                          words.at(2).c_str(), -1));
            check(guestfs_lvm_scan(handle(), 1));
            return {};
        }
        if (verb == "close") {
            check(guestfs_umount_all(handle()));
            check(guestfs_shutdown(handle()));
            return {};
        }
        throw std::runtime_error("there is no verb '" + verb + "'");
    }

private:
    guestfs_h* handle() const { return guestfs_.get(); }

    void check(int result) {
        if (result == -1) {
            const char* reason = guestfs_last_error(handle());
            throw std::runtime_error(reason != nullptr ? reason : "no reason given");
        }
    }

    Words strings(char** list) {
        check(list == nullptr ? -1 : 0);
        Words result;
        for (char** item = list; *item != nullptr; ++item) {
            result.emplace_back(CString(*item).get());
        }
        std::free(list);
        return result;
    }

    /// The library drops a command's output when it fails: the status travels at its end.
    static std::string wrapped(const std::string& command) {
        return "( " + command + "\n) 2>&1; echo \"status=$?\"";
    }
    static std::string unwrapped(std::string output) {
        constexpr std::string_view mark = "status=";
        const std::size_t at = output.rfind(mark);
        if (at == std::string::npos) {
            throw std::runtime_error("no status: " + output);
        }
        const int status = std::atoi(output.c_str() + at + mark.size());
        output.resize(at);
        if (status != 0) {
            throw std::runtime_error(output + "status " + std::to_string(status));
        }
        return output;
    }

    std::string inside(const std::string& command) {
        std::string script = wrapped("set -e\n" + command);
        char* const words[] = {script.data(), nullptr};
        const CString output(guestfs_debug(handle(), "sh", words));
        check(output ? 0 : -1);
        return unwrapped(output.get());
    }

    std::string guest(const std::string& command) {
        const CString output(
            guestfs_sh(handle(), ("unset LVM_SYSTEM_DIR\n" + wrapped(command)).c_str()));
        check(output ? 0 : -1);
        return unwrapped(output.get());
    }

    std::string inspect() {
        const Words roots = strings(guestfs_inspect_os(handle()));
        if (roots.size() != 1) {
            throw std::runtime_error("there are " + std::to_string(roots.size()) + " systems");
        }
        const Words pairs = strings(guestfs_inspect_get_mountpoints(handle(), roots[0].c_str()));
        std::vector<std::pair<std::string, std::string>> mounts;
        for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
            mounts.emplace_back(pairs[i], pairs[i + 1]);
        }
        std::ranges::sort(mounts);
        std::string points;
        for (const auto& [point, device] : mounts) {
            check(guestfs_mount(handle(), device.c_str(), point.c_str()));
            points += point + "\n";
        }
        return points;
    }

    coldspare::Handle<guestfs_h, guestfs_close> guestfs_;
};

void answer(bool good, const std::string& output) {
    const nlohmann::json line{{"ok", good}, {"output", output}};
    std::puts(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    std::fflush(stdout);
}

int serve(const Words& arguments) {
    Shell shell;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--read-only") {
            shell.options.read_only = 1;
        } else if (arguments[i] == "--unsafe") {
            shell.options.cache_mode = "unsafe";
        } else if (arguments[i] == "--format") {
            shell.options.format = arguments.at(++i);
        } else {
            shell.add(arguments[i]);
        }
    }
    shell.launch();
    answer(true, "");
    for (std::string line; std::getline(std::cin, line);) {
        try {
            answer(true, shell.obey(nlohmann::json::parse(line).get<Words>()));
        } catch (const std::exception& error) {
            answer(false, error.what());
        }
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    // Killed with the caller, whatever killed it; the library's own watcher then ends QEMU.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setenv("LIBGUESTFS_BACKEND", "direct", 0);
    try {
        return serve(Words(argv + 1, argv + argc));
    } catch (const std::exception& error) {
        answer(false, error.what());
        return 1;
    }
}
