#include "fixup/appliance/appliance.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <guestfs.h>

#include <algorithm>
#include <memory>

namespace coldspare::fixup {

namespace {

constexpr unsigned most_disks = 26;
constexpr int memory_mib = 1536;
constexpr int processors = 2;
/// Two emulated processors can lose a race over code that the kernel patches, and stand still
/// (docs/TRAPS.md).
constexpr int processors_emulated = 1;
constexpr std::size_t kept_log_lines = 20;

/// Letters only, at most 20.
std::string label_of(unsigned disk) {
    return std::string("fixdisk") + static_cast<char>('a' + disk);
}

/// A NULL-terminated list of C strings, both of which libguestfs gives away.
struct FreeList {
    void operator()(char** list) const noexcept {
        for (char** item = list; *item != nullptr; ++item) {
            std::free(*item);
        }
        std::free(list);
    }
};
using CStringList = std::unique_ptr<char*, FreeList>;

void keep_log(guestfs_h*, void* opaque, uint64_t, int, int, const char* text, size_t length,
              const uint64_t*, size_t) noexcept {
    try {
        static_cast<LogTail*>(opaque)->add({text, length});
    } catch (...) { // no room for a log line: the line is lost, and nothing else
    }
}

} // namespace

void LogTail::add(std::string_view text) {
    partial_ += text;
    for (std::size_t end = partial_.find('\n'); end != std::string::npos;
         end = partial_.find('\n')) {
        lines_.push_back(
            printable(std::string_view(partial_).substr(0, std::min<std::size_t>(end, 200))));
        partial_.erase(0, end + 1);
    }
    while (lines_.size() > kept_log_lines) {
        lines_.pop_front();
    }
    partial_.resize(std::min<std::size_t>(partial_.size(), 4096));
}

Appliance::Appliance(const ApplianceRequest& request)
    : guestfs_(guestfs_create_flags(GUESTFS_CREATE_NO_ENVIRONMENT)) {
    if (guestfs_ == nullptr) {
        throw Error("cannot create a libguestfs handle: out of memory");
    }
    try {
        configure(request);
        add_disks(request);
        check(guestfs_launch(handle()), "starting the appliance");
    } catch (...) {
        guestfs_close(guestfs_);
        throw;
    }
}

Appliance::~Appliance() {
    guestfs_close(guestfs_);
}

std::string Appliance::disk_name(unsigned disk) {
    return "/dev/disk/guestfs/" + label_of(disk);
}

void Appliance::fail(const std::string& what) const {
    const char* reason = guestfs_last_error(handle());
    std::string hint;
    for (const std::string& line : log_.lines()) {
        hint += (hint.empty() ? "the appliance's last words: " : " | ") + line;
    }
    throw Error(
        fmt::format("{}: {}", what, printable(reason != nullptr ? reason : "no reason given")),
        hint);
}

std::vector<std::string> Appliance::strings(char** list, const std::string& what) const {
    const CStringList owned(list);
    check(owned ? 0 : -1, what);
    std::vector<std::string> result;
    for (char** item = list; *item != nullptr; ++item) {
        result.emplace_back(*item);
    }
    return result;
}

std::string Appliance::text(char* string, const std::string& what) const {
    const CString owned(string);
    check(owned ? 0 : -1, what);
    return printable(owned.get());
}

std::string Appliance::optional_text(char* string) {
    const CString owned(string);
    return owned ? printable(owned.get()) : std::string();
}

void Appliance::configure(const ApplianceRequest& request) {
    guestfs_set_error_handler(handle(), nullptr, nullptr);
    check(guestfs_set_event_callback(
              handle(), keep_log,
              GUESTFS_EVENT_APPLIANCE | GUESTFS_EVENT_LIBRARY | GUESTFS_EVENT_WARNING, 0, &log_),
          "asking libguestfs for its messages");
    check(guestfs_set_backend(handle(), "direct"), "choosing the backend");
    if (request.accelerator == Accelerator::tcg) {
        check(guestfs_set_backend_setting(handle(), "force_tcg", "1"), "choosing TCG");
    }
    for (const char* variable : {"LIBGUESTFS_TMPDIR", "TMPDIR"}) {
        if (const char* directory = std::getenv(variable)) {
            check(guestfs_set_tmpdir(handle(), directory), "choosing the temporary directory");
            break;
        }
    }
    check(guestfs_set_memsize(handle(), memory_mib), "choosing the appliance's memory");
    check(guestfs_set_smp(handle(), request.accelerator == Accelerator::tcg ? processors_emulated
                                                                            : processors),
          "choosing the appliance's processors");
    // Programs of a glibc before 2.15 die without the vsyscall page.
    check(guestfs_set_append(handle(), "vsyscall=emulate"), "choosing kernel arguments");
}

void Appliance::add_disks(const ApplianceRequest& request) {
    if (request.disks.empty() || request.disks.size() > most_disks) {
        throw Error(fmt::format("{} disks were given, and 1 to {} can be fixed at once",
                                request.disks.size(), most_disks));
    }
    for (const std::filesystem::path& disk : request.disks) {
        check(guestfs_add_drive_opts(handle(), disk.c_str(), GUESTFS_ADD_DRIVE_OPTS_FORMAT,
                                     request.format == DiskFormat::raw ? "raw" : "qcow2",
                                     GUESTFS_ADD_DRIVE_OPTS_READONLY,
                                     request.depth == Depth::look ? 1 : 0,
                                     GUESTFS_ADD_DRIVE_OPTS_LABEL, label_of(disks_).c_str(), -1),
              fmt::format("adding the disk '{}'", disk.string()));
        ++disks_;
    }
}

} // namespace coldspare::fixup
