#include "fixup/appliance/guest.hpp"

#include "base/error.hpp"
#include "fixup/appliance/appliance.hpp"
#include "fixup/appliance/listings.hpp"
#include "fixup/appliance/volumes.hpp"

#include <fmt/format.h>

#include <guestfs.h>

#include <algorithm>
#include <cstdlib>

namespace coldspare::fixup {

namespace {

/// Messages have at most 4 MiB.
constexpr std::uint64_t in_one_message = std::uint64_t{1} << 20;

using StatVfs = Handle<struct guestfs_statvfs, guestfs_free_statvfs>;

class LibguestfsGuest final : public ApplianceGuest {
public:
    LibguestfsGuest(const ApplianceRequest& request, const NoteCallback& note)
        : appliance_(request) {
        note("looking for the system on the disk");
        start_incomplete_arrays(appliance_);
        open_encrypted(appliance_, request.keys);
        system_ = mount_system(appliance_, request.root);
        cover_run(appliance_);
    }

    void finish() override {
        appliance_.check(guestfs_umount_all(handle()), "unmounting the copy's file systems");
        appliance_.check(guestfs_shutdown(handle()), "flushing the disk and ending the appliance");
    }

    GuestSystem system() override { return system_; }
    unsigned disk_count() const override { return appliance_.disk_count(); }
    std::string disk_name(unsigned disk) const override { return Appliance::disk_name(disk); }

    FileStatus status(const std::string& path) override { return listings_.status(path); }
    std::vector<std::string> names_in(const std::string& directory) override {
        return listings_.names_in(directory);
    }

    std::string read(const std::string& path, std::uint64_t limit) override {
        const std::string what = fmt::format("reading '{}' inside the copy", path);
        const FileStatus known = status(path);
        const int64_t size = known.kind == FileKind::file
                                 ? static_cast<int64_t>(known.size)
                                 : guestfs_filesize(handle(), path.c_str());
        appliance_.check(size < 0 ? -1 : 0, what);
        if (static_cast<std::uint64_t>(size) > limit) {
            throw Error(fmt::format("{}: it has {} bytes, and at most {} are read of such a file",
                                    what, size, limit));
        }
        return static_cast<std::uint64_t>(size) <= in_one_message ? read_at_once(path, what)
                                                                  : read_long(path, what);
    }

    void write(const std::string& path, std::string_view content, mode_t mode) override {
        const std::string what = fmt::format("writing '{}' inside the copy", path);
        const bool is_new = status(path).kind == FileKind::absent;
        listings_.forget();
        appliance_.check(guestfs_write(handle(), path.c_str(), content.data(), content.size()),
                         what);
        if (is_new) {
            appliance_.check(guestfs_chmod(handle(), static_cast<int>(mode), path.c_str()), what);
        }
    }

    void append(const std::string& path, std::string_view bytes) override {
        const std::string what = fmt::format("adding to '{}' inside the copy", path);
        if (status(path).kind != FileKind::file) { // the library would make one
            throw Error(fmt::format("{}: there is no such file", what));
        }
        listings_.forget();
        for (; !bytes.empty(); bytes.remove_prefix(std::min(in_one_message, bytes.size()))) {
            const std::string_view part = bytes.substr(0, in_one_message);
            appliance_.check(guestfs_write_append(handle(), path.c_str(), part.data(), part.size()),
                             what);
        }
    }

    void remove(const std::string& path) override {
        listings_.forget();
        appliance_.check(guestfs_rm(handle(), path.c_str()),
                         fmt::format("removing '{}' inside the copy", path));
    }

    std::string link_target(const std::string& path) override {
        const CString target(guestfs_readlink(handle(), path.c_str()));
        appliance_.check(target ? 0 : -1,
                         fmt::format("reading the link '{}' inside the copy", path));
        return target.get();
    }
    void make_link(const std::string& path, const std::string& target) override {
        listings_.forget();
        appliance_.check(guestfs_ln_s(handle(), target.c_str(), path.c_str()),
                         fmt::format("making the link '{}' inside the copy", path));
    }
    void make_directory(const std::string& path) override {
        listings_.forget();
        appliance_.check(guestfs_mkdir_mode(handle(), path.c_str(), 0755),
                         fmt::format("making the directory '{}' inside the copy", path));
    }
    void copy_file(const std::string& from, const std::string& to) override {
        listings_.forget();
        appliance_.check(guestfs_cp(handle(), from.c_str(), to.c_str()),
                         fmt::format("copying '{}' to '{}' inside the copy", from, to));
    }
    void label_like(const std::string& path, const std::string& model) override {
        constexpr const char* name = "security.selinux";
        std::size_t size = 0;
        const CString value(guestfs_lgetxattr(handle(), model.c_str(), name, &size));
        if (value) { // else no SELinux, or a file system without labels
            appliance_.check(guestfs_lsetxattr(handle(), name, value.get(), static_cast<int>(size),
                                               path.c_str()),
                             fmt::format("labelling '{}' inside the copy", path));
        }
    }

    std::uint64_t free_bytes(const std::string& path) override {
        const std::string existing =
            status(path).kind == FileKind::absent ? std::string("/") : path;
        const StatVfs info(guestfs_statvfs(handle(), existing.c_str()));
        appliance_.check(info ? 0 : -1,
                         fmt::format("asking for the room in '{}' inside the copy", path));
        return static_cast<std::uint64_t>(info->bavail) * static_cast<std::uint64_t>(info->frsize);
    }

    /// The library throws standard output away when a command fails, and "2>&1" then hides why: the
    /// status travels at the end of the output instead. LVM_SYSTEM_DIR is the appliance's own.
    CommandOutput run(const std::string& line) override {
        listings_.forget();
        constexpr std::string_view mark = "\n__coldspare_status=";
        const std::string script = fmt::format(
            "unset LVM_SYSTEM_DIR\n( {}\n) 2>&1; s=$?; printf '\\n__coldspare_status=%s\\n' $s",
            line);
        const CString output(guestfs_sh(handle(), script.c_str()));
        const std::string what = fmt::format("running '{}' inside the copy", line);
        appliance_.check(output ? 0 : -1, what);
        const std::string_view text(output.get());
        const std::size_t at = text.rfind(mark);
        if (at == std::string_view::npos) {
            throw Error(fmt::format("{}: its status is missing", what));
        }
        return {.status = std::atoi(text.data() + at + mark.size()),
                .text = std::string(text.substr(0, at))};
    }

    std::string read_disk(unsigned disk, std::uint64_t offset, std::uint64_t size) override {
        const std::string device = Appliance::disk_name(disk);
        std::string bytes;
        while (bytes.size() < size) {
            const std::uint64_t left = std::min(in_one_message, size - bytes.size());
            std::size_t got = 0;
            const CString part(
                guestfs_pread_device(handle(), device.c_str(), static_cast<int>(left),
                                     static_cast<int64_t>(offset + bytes.size()), &got));
            appliance_.check(part ? 0 : -1, "reading the copy's boot sectors");
            bytes.append(part.get(), got);
            if (got < left) {
                break;
            }
        }
        return bytes;
    }

private:
    guestfs_h* handle() const { return appliance_.handle(); }

    std::string read_at_once(const std::string& path, const std::string& what) {
        std::size_t length = 0;
        const CString content(
            guestfs_pread(handle(), path.c_str(), static_cast<int>(in_one_message), 0, &length));
        appliance_.check(content ? 0 : -1, what);
        return {content.get(), length};
    }
    /// Through a temporary file of the library, which takes a while to set up.
    std::string read_long(const std::string& path, const std::string& what) {
        std::size_t length = 0;
        const CString content(guestfs_read_file(handle(), path.c_str(), &length));
        appliance_.check(content ? 0 : -1, what);
        return {content.get(), length};
    }

    Appliance appliance_;
    Listings listings_{appliance_};
    GuestSystem system_;
};

} // namespace

std::unique_ptr<ApplianceGuest> open_guest(const ApplianceRequest& request,
                                           const NoteCallback& note) {
    note("starting the appliance");
    return std::make_unique<LibguestfsGuest>(request, note);
}

} // namespace coldspare::fixup
