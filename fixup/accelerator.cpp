#include "fixup/accelerator.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "fixup/facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <unistd.h>
#include <vector>

namespace coldspare::fixup {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds deadline{5};
constexpr const char* fails_path = "/run/coldspare/kvm-fails";

/// The newest kernel that this process may read, or an empty path.
fs::path newest_kernel() {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator("/boot", ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("vmlinuz-") && ::access(entry.path().c_str(), R_OK) == 0) {
            names.push_back(name);
        }
    }
    const auto newest = std::ranges::max_element(
        names, [](const auto& a, const auto& b) { return older_version(a, b); });
    return newest == names.end() ? fs::path() : fs::path("/boot") / *newest;
}

bool kernel_speaks(const fs::path& kernel, std::stop_token stop) {
    Command command{.argv = {"qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "256",
                             "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
                             "-kernel", kernel.string(), "-append",
                             "console=ttyS0 earlyprintk=ttyS0 panic=-1"},
                    .deadline = deadline};
    // The answer ends the wait, and so does the caller.
    std::stop_source enough;
    const std::stop_callback forward(stop, [&enough] { enough.request_stop(); });
    bool spoke = false;
    command.on_line = [&](std::string_view line) {
        if (line.find("Linux version") != std::string_view::npos) {
            spoke = true;
            enough.request_stop();
        }
    };
    try {
        static_cast<void>(run_process(command, enough.get_token()));
    } catch (const Error&) {
        if (stop.stop_requested()) {
            throw;
        }
    }
    return spoke;
}

/// Which start of this machine this is: random(4).
std::string boot_id() {
    try {
        return read_file("/proc/sys/kernel/random/boot_id", 100);
    } catch (const Error&) {
        return {};
    }
}

bool is_remembered(const std::string& boot) {
    try {
        return !boot.empty() && read_file(fails_path, 100) == boot;
    } catch (const Error&) {
        return false;
    }
}

void remember(const std::string& boot) {
    try {
        make_parent_directories(fails_path, "");
        write_file_atomically(fails_path, boot);
    } catch (const Error&) { // not root, say: then the next run tries again
    }
}

} // namespace

std::string_view accelerator_word(Accelerator accelerator) {
    return accelerator == Accelerator::kvm ? "kvm" : "tcg";
}

AcceleratorProbe probe_accelerator(std::stop_token stop) {
    if (::access("/dev/kvm", R_OK | W_OK) != 0) {
        return {Accelerator::tcg, "/dev/kvm cannot be used here"};
    }
    const std::string boot = boot_id();
    if (is_remembered(boot)) {
        return {Accelerator::tcg,
                fmt::format("no kernel started under KVM since this machine did (remove '{}' to "
                            "try again)",
                            fails_path)};
    }
    const fs::path kernel = newest_kernel();
    if (kernel.empty()) {
        return {Accelerator::tcg, "no kernel in /boot to try KVM with"};
    }
    if (!kernel_speaks(kernel, stop)) {
        remember(boot);
        return {Accelerator::tcg,
                fmt::format("no kernel starts under KVM here within {} s", deadline.count())};
    }
    return {Accelerator::kvm, "KVM runs a kernel here"};
}

} // namespace coldspare::fixup
