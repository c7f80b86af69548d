#include "fixup/appliance/guest.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <guestfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <utility>

namespace coldspare::fixup {

namespace {

constexpr unsigned most_disks = 26;
constexpr int memory_mib = 1536;
constexpr int processors = 2;
constexpr std::size_t kept_log_lines = 20;
constexpr std::size_t longest_passphrase = std::size_t{1} << 20;

/// Letters only, at most 20.
std::string label_of(unsigned disk) {
    return std::string("fixdisk") + static_cast<char>('a' + disk);
}

std::string by_label(unsigned disk) {
    return "/dev/disk/guestfs/" + label_of(disk);
}

using CString = Handle<char, std::free>;

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
using StatNs = Handle<struct guestfs_statns, guestfs_free_statns>;
using StatVfs = Handle<struct guestfs_statvfs, guestfs_free_statvfs>;

/// The last lines that the appliance and the library said: what an error message alone leaves open.
struct LogTail {
    std::deque<std::string> lines;
    std::string partial;

    void add(std::string_view text) {
        partial += text;
        for (std::size_t end = partial.find('\n'); end != std::string::npos;
             end = partial.find('\n')) {
            lines.push_back(
                printable(std::string_view(partial).substr(0, std::min<std::size_t>(end, 200))));
            partial.erase(0, end + 1);
        }
        while (lines.size() > kept_log_lines) {
            lines.pop_front();
        }
        partial.resize(std::min<std::size_t>(partial.size(), 4096));
    }
};

void keep_log(guestfs_h*, void* opaque, uint64_t, int, int, const char* text, size_t length,
              const uint64_t*, size_t) noexcept {
    try {
        static_cast<LogTail*>(opaque)->add({text, length});
    } catch (...) { // no room for a log line: the line is lost, and nothing else
    }
}

class LibguestfsGuest final : public ApplianceGuest {
public:
    LibguestfsGuest(const ApplianceRequest& request, const NoteCallback& note)
        : guestfs_(guestfs_create_flags(GUESTFS_CREATE_NO_ENVIRONMENT)) {
        if (!guestfs_) {
            throw Error("cannot create a libguestfs handle: out of memory");
        }
        configure(request);
        note("starting the appliance");
        check(guestfs_launch(handle()), "starting the appliance");
        open_encrypted(request.keys);
        note("looking for the system on the disk");
        inspect(request.root);
        mount_all();
        describe_volumes();
    }

    void finish() override {
        check(guestfs_umount_all(handle()), "unmounting the copy's file systems");
        check(guestfs_shutdown(handle()), "flushing the disk and ending the appliance");
    }

    GuestSystem system() override { return system_; }
    unsigned disk_count() const override { return disks_; }
    std::string disk_name(unsigned disk) const override { return by_label(disk); }

    FileStatus status(const std::string& path) override {
        const StatNs info(guestfs_lstatns(handle(), path.c_str()));
        if (!info) {
            if (guestfs_last_errno(handle()) == ENOENT || guestfs_last_errno(handle()) == ENOTDIR) {
                return {};
            }
            fail(fmt::format("looking at '{}' inside the copy", path));
        }
        constexpr int64_t type_bits = 0170000;
        const std::uint64_t size = static_cast<std::uint64_t>(info->st_size);
        const mode_t mode = static_cast<mode_t>(info->st_mode & 07777);
        switch (info->st_mode & type_bits) {
        case 0100000:
            return {FileKind::file, size, mode};
        case 0040000:
            return {FileKind::directory, size, mode};
        case 0120000:
            return {FileKind::symlink, size, mode};
        default:
            return {FileKind::other, size, mode};
        }
    }

    std::vector<std::string> names_in(const std::string& directory) override {
        const int is_directory = guestfs_is_dir_opts(handle(), directory.c_str(),
                                                     GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1);
        check(is_directory, fmt::format("looking at '{}' inside the copy", directory));
        if (is_directory == 0) {
            return {};
        }
        std::vector<std::string> names = strings(guestfs_ls(handle(), directory.c_str()),
                                                 fmt::format("listing '{}'", directory));
        std::ranges::sort(names);
        return names;
    }

    std::string read(const std::string& path, std::uint64_t limit) override {
        const std::string what = fmt::format("reading '{}' inside the copy", path);
        const int64_t size = guestfs_filesize(handle(), path.c_str());
        check(size < 0 ? -1 : 0, what);
        if (static_cast<std::uint64_t>(size) > limit) {
            throw Error(fmt::format("{}: it has {} bytes, and at most {} are read of such a file",
                                    what, size, limit));
        }
        std::size_t length = 0;
        const CString content(guestfs_read_file(handle(), path.c_str(), &length));
        check(content ? 0 : -1, what);
        return {content.get(), length};
    }

    void write(const std::string& path, std::string_view content, mode_t mode) override {
        const std::string what = fmt::format("writing '{}' inside the copy", path);
        const bool is_new = status(path).kind == FileKind::absent;
        check(guestfs_write(handle(), path.c_str(), content.data(), content.size()), what);
        if (is_new) {
            check(guestfs_chmod(handle(), static_cast<int>(mode), path.c_str()), what);
        }
    }

    void remove(const std::string& path) override {
        check(guestfs_rm(handle(), path.c_str()),
              fmt::format("removing '{}' inside the copy", path));
    }

    std::string link_target(const std::string& path) override {
        const CString target(guestfs_readlink(handle(), path.c_str()));
        check(target ? 0 : -1, fmt::format("reading the link '{}' inside the copy", path));
        return target.get();
    }
    void make_link(const std::string& path, const std::string& target) override {
        check(guestfs_ln_s(handle(), target.c_str(), path.c_str()),
              fmt::format("making the link '{}' inside the copy", path));
    }
    void make_directory(const std::string& path) override {
        check(guestfs_mkdir_mode(handle(), path.c_str(), 0755),
              fmt::format("making the directory '{}' inside the copy", path));
    }
    void copy_file(const std::string& from, const std::string& to) override {
        check(guestfs_cp(handle(), from.c_str(), to.c_str()),
              fmt::format("copying '{}' to '{}' inside the copy", from, to));
    }
    void label_like(const std::string& path, const std::string& model) override {
        constexpr const char* name = "security.selinux";
        std::size_t size = 0;
        const CString value(guestfs_lgetxattr(handle(), model.c_str(), name, &size));
        if (value) { // else no SELinux, or a file system without labels
            check(guestfs_lsetxattr(handle(), name, value.get(), static_cast<int>(size),
                                    path.c_str()),
                  fmt::format("labelling '{}' inside the copy", path));
        }
    }

    std::uint64_t free_bytes(const std::string& path) override {
        const std::string existing =
            status(path).kind == FileKind::absent ? std::string("/") : path;
        const StatVfs info(guestfs_statvfs(handle(), existing.c_str()));
        check(info ? 0 : -1, fmt::format("asking for the room in '{}' inside the copy", path));
        return static_cast<std::uint64_t>(info->bavail) * static_cast<std::uint64_t>(info->frsize);
    }

    /// The library throws standard output away when a command fails, and "2>&1" then hides why: the
    /// status travels at the end of the output instead. LVM_SYSTEM_DIR is the appliance's own.
    CommandOutput run(const std::string& line) override {
        constexpr std::string_view mark = "\n__coldspare_status=";
        const std::string script = fmt::format(
            "unset LVM_SYSTEM_DIR\n( {}\n) 2>&1; s=$?; printf '\\n__coldspare_status=%s\\n' $s",
            line);
        const CString output(guestfs_sh(handle(), script.c_str()));
        const std::string what = fmt::format("running '{}' inside the copy", line);
        check(output ? 0 : -1, what);
        const std::string_view text(output.get());
        const std::size_t at = text.rfind(mark);
        if (at == std::string_view::npos) {
            throw Error(fmt::format("{}: its status is missing", what));
        }
        return {.status = std::atoi(text.data() + at + mark.size()),
                .text = std::string(text.substr(0, at))};
    }

    std::string read_disk(unsigned disk, std::uint64_t offset, std::uint64_t size) override {
        const std::string device = by_label(disk);
        std::string bytes;
        constexpr std::uint64_t piece = std::uint64_t{1} << 20; // messages have at most 4 MiB
        while (bytes.size() < size) {
            const std::uint64_t left = std::min(piece, size - bytes.size());
            std::size_t got = 0;
            const CString part(
                guestfs_pread_device(handle(), device.c_str(), static_cast<int>(left),
                                     static_cast<int64_t>(offset + bytes.size()), &got));
            check(part ? 0 : -1, "reading the copy's boot sectors");
            bytes.append(part.get(), got);
            if (got < left) {
                break;
            }
        }
        return bytes;
    }

private:
    guestfs_h* handle() const { return guestfs_.get(); }

    [[noreturn]] void fail(const std::string& what) {
        const char* reason = guestfs_last_error(handle());
        std::string hint;
        for (const std::string& line : log_.lines) {
            hint += (hint.empty() ? "the appliance's last words: " : " | ") + line;
        }
        throw Error(
            fmt::format("{}: {}", what, printable(reason != nullptr ? reason : "no reason given")),
            hint);
    }
    void check(int result, const std::string& what) {
        if (result == -1) {
            fail(what);
        }
    }
    std::vector<std::string> strings(char** list, const std::string& what) {
        const CStringList owned(list);
        check(owned ? 0 : -1, what);
        std::vector<std::string> result;
        for (char** item = list; *item != nullptr; ++item) {
            result.emplace_back(*item);
        }
        return result;
    }
    std::string text(char* string, const std::string& what) {
        const CString owned(string);
        check(owned ? 0 : -1, what);
        return printable(owned.get());
    }

    void configure(const ApplianceRequest& request) {
        guestfs_set_error_handler(handle(), nullptr, nullptr);
        check(guestfs_set_event_callback(handle(), keep_log,
                                         GUESTFS_EVENT_APPLIANCE | GUESTFS_EVENT_LIBRARY |
                                             GUESTFS_EVENT_WARNING,
                                         0, &log_),
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
        check(guestfs_set_smp(handle(), processors), "choosing the appliance's processors");
        // Programs of a glibc before 2.15 die without the vsyscall page.
        check(guestfs_set_append(handle(), "vsyscall=emulate"), "choosing kernel arguments");
        if (request.disks.empty() || request.disks.size() > most_disks) {
            throw Error(fmt::format("{} disks were given, and 1 to {} can be fixed at once",
                                    request.disks.size(), most_disks));
        }
        for (const std::filesystem::path& disk : request.disks) {
            check(guestfs_add_drive_opts(
                      handle(), disk.c_str(), GUESTFS_ADD_DRIVE_OPTS_FORMAT,
                      request.format == DiskFormat::raw ? "raw" : "qcow2",
                      GUESTFS_ADD_DRIVE_OPTS_READONLY, request.depth == Depth::look ? 1 : 0,
                      GUESTFS_ADD_DRIVE_OPTS_LABEL, label_of(disks_).c_str(), -1),
                  fmt::format("adding the disk '{}'", disk.string()));
            ++disks_;
        }
    }

    /// Opens every LUKS volume with the first passphrase that fits, and what lies in them.
    void open_encrypted(const std::vector<std::filesystem::path>& keys) {
        if (keys.empty()) {
            return;
        }
        std::vector<std::string> passphrases;
        for (const std::filesystem::path& key : keys) {
            passphrases.push_back(read_file(key, longest_passphrase));
            if (passphrases.back().ends_with('\n')) {
                passphrases.back().pop_back();
            }
        }
        unsigned opened = 0;
        const std::vector<std::string> devices =
            strings(guestfs_list_partitions(handle()), "listing partitions");
        for (const std::string& device : devices) {
            if (format_of(device) == "crypto_LUKS") {
                open_volume(device, passphrases, opened++);
            }
        }
        check(guestfs_lvm_scan(handle(), 1), "looking for logical volumes");
    }
    void open_volume(const std::string& device, const std::vector<std::string>& passphrases,
                     unsigned number) {
        for (const std::string& passphrase : passphrases) {
            if (guestfs_cryptsetup_open(handle(), device.c_str(), passphrase.c_str(),
                                        fmt::format("fixluks{}", number).c_str(), -1) == 0) {
                return;
            }
        }
        throw Error(fmt::format("no key opens the encrypted volume {} (UUID {})", device,
                                optional_text(guestfs_vfs_uuid(handle(), device.c_str()))),
                    "name the file with its passphrase with --key-file");
    }

    void inspect(const std::string& wanted) {
        const std::vector<std::string> roots =
            strings(guestfs_inspect_os(handle()), "looking for the system on the disk");
        if (roots.empty()) {
            throw Error("there is no operating system on the disk",
                        "a clone of only a part of the disks? give all of them; an encrypted one "
                        "needs --key-file");
        }
        if (wanted.empty() && roots.size() > 1) {
            throw Error(fmt::format("there are {} operating systems on the disk: {}", roots.size(),
                                    fmt::join(roots, ", ")),
                        "say which one with --root");
        }
        if (!wanted.empty() && std::ranges::find(roots, wanted) == roots.end()) {
            throw Error(fmt::format("there is no operating system on '{}'", wanted),
                        fmt::format("these have one: {}", fmt::join(roots, ", ")),
                        ExitStatus::usage);
        }
        root_ = wanted.empty() ? roots.front() : wanted;
        system_.distro = text(guestfs_inspect_get_distro(handle(), root_.c_str()), "inspection");
        system_.product =
            text(guestfs_inspect_get_product_name(handle(), root_.c_str()), "inspection");
        system_.arch = text(guestfs_inspect_get_arch(handle(), root_.c_str()), "inspection");
        system_.package_format =
            text(guestfs_inspect_get_package_format(handle(), root_.c_str()), "inspection");
    }

    void mount_all() {
        const std::vector<std::string> pairs =
            strings(guestfs_inspect_get_mountpoints(handle(), root_.c_str()), "inspection");
        std::vector<std::pair<std::string, std::string>> mounts;
        for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
            mounts.emplace_back(pairs[i], pairs[i + 1]);
        }
        std::ranges::sort(mounts, {}, [](const auto& mount) {
            return std::pair(mount.first.size(), mount.first);
        });
        for (const auto& [point, source] : mounts) {
            if (guestfs_mount(handle(), source.c_str(), point.c_str()) == 0) {
                system_.mount_points.push_back(point);
                mounted_.emplace_back(point, source);
            } else if (point == "/" || point.starts_with("/boot") || point.starts_with("/usr")) {
                fail(fmt::format("mounting {} of the copy", point));
            } // else a data disk that was not cloned, say: nothing here needs it
        }
    }

    [[nodiscard]] std::string format_of(const std::string& device) {
        return optional_text(guestfs_vfs_type(handle(), device.c_str()));
    }
    /// The answer to a question that many volumes have none for.
    [[nodiscard]] static std::string optional_text(char* string) {
        const CString owned(string);
        return owned ? printable(owned.get()) : std::string();
    }

    void describe_volumes() {
        std::vector<std::string> devices =
            strings(guestfs_list_partitions(handle()), "listing partitions");
        // Pairs of a volume and its format; the partitions among them are known.
        const std::vector<std::string> others =
            strings(guestfs_list_filesystems(handle()), "listing file systems");
        for (std::size_t i = 0; i + 1 < others.size(); i += 2) {
            if (std::ranges::find(devices, others[i]) == devices.end()) {
                devices.push_back(others[i]);
            }
        }
        for (unsigned disk = 0; disk < disks_; ++disk) {
            system_.tables.push_back(
                optional_text(guestfs_part_get_parttype(handle(), by_label(disk).c_str())));
        }
        for (const std::string& device : devices) {
            system_.volumes.push_back(describe(device));
        }
    }
    [[nodiscard]] GuestVolume describe(const std::string& device) {
        GuestVolume volume{.device = device,
                           .format = format_of(device),
                           .uuid = optional_text(guestfs_vfs_uuid(handle(), device.c_str())),
                           .label = optional_text(guestfs_vfs_label(handle(), device.c_str()))};
        const CString whole(guestfs_part_to_dev(handle(), device.c_str()));
        const int disk = whole ? guestfs_device_index(handle(), whole.get()) : -1;
        const int number = whole ? guestfs_part_to_partnum(handle(), device.c_str()) : -1;
        if (disk >= 0 && static_cast<unsigned>(disk) < disks_ && number > 0) {
            volume.disk = static_cast<unsigned>(disk);
            volume.partition = static_cast<unsigned>(number);
            volume.device = by_label(*volume.disk) + std::to_string(number);
            volume.partition_type =
                system_.tables[*volume.disk] == "gpt"
                    ? optional_text(guestfs_part_get_gpt_type(handle(), whole.get(), number))
                    : fmt::format("0x{:02x}",
                                  guestfs_part_get_mbr_id(handle(), whole.get(), number));
        }
        for (const auto& [point, source] : mounted_) {
            if (source == device) {
                volume.mount_point = point;
            }
        }
        return volume;
    }

    LogTail log_; // outlives the handle, which writes to it
    Handle<guestfs_h, guestfs_close> guestfs_;
    unsigned disks_ = 0;
    std::string root_;
    std::vector<std::pair<std::string, std::string>> mounted_; ///< where, and what
    GuestSystem system_;
};

} // namespace

std::unique_ptr<ApplianceGuest> open_guest(const ApplianceRequest& request,
                                           const NoteCallback& note) {
    return std::make_unique<LibguestfsGuest>(request, note);
}

} // namespace coldspare::fixup
