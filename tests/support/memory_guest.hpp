#pragma once

#include "fixup/guest.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace coldspare::fixup {

/// A Guest that is a map in memory: no appliance, no disk. It passes the conformance tests of
/// guest_conformance.hpp, as the real one does.
class MemoryGuest : public Guest {
public:
    struct Node {
        FileKind kind = FileKind::file;
        std::string content; ///< of a symbolic link: where it leads
        mode_t mode = 0644;
        std::string label; ///< of SELinux
        friend bool operator==(const Node&, const Node&) = default;
    };

    MemoryGuest();

    /// Puts a file there, and the directories that lead to it.
    void put(const std::string& path, std::string content, mode_t mode = 0644);
    void put_directory(const std::string& path);
    void put_link(const std::string& path, const std::string& target);

    GuestSystem system() override { return identity; }
    FileStatus status(const std::string& path) override;
    std::vector<std::string> names_in(const std::string& directory) override;
    std::string read(const std::string& path, std::uint64_t limit) override;
    void write(const std::string& path, std::string_view content, mode_t mode) override;
    void remove(const std::string& path) override;
    std::uint64_t free_bytes(const std::string& path) override;
    CommandOutput run(const std::string& line) override;
    std::string link_target(const std::string& path) override;
    void make_link(const std::string& path, const std::string& target) override;
    void make_directory(const std::string& path) override;
    void copy_file(const std::string& from, const std::string& to) override;
    void label_like(const std::string& path, const std::string& model) override;
    unsigned disk_count() const override { return static_cast<unsigned>(1 + other_disks.size()); }
    std::string read_disk(unsigned disk, std::uint64_t offset, std::uint64_t size) override;
    std::string disk_name(unsigned number) const override;

    GuestSystem identity{.distro = "debian",
                         .product = "12.5",
                         .arch = "x86_64",
                         .package_format = "deb",
                         .mount_points = {"/"}};
    std::map<std::string, Node> nodes;
    std::string disk;                     ///< its first bytes
    std::vector<std::string> other_disks; ///< those of the second one, and so on
    std::uint64_t free = std::uint64_t{1} << 30;
    std::vector<std::string> lines; ///< all that run() was asked
    /// Answers run(); without it every line succeeds and prints nothing.
    std::function<CommandOutput(MemoryGuest& guest, const std::string& line)> shell;

private:
    [[nodiscard]] std::string real(const std::string& path) const;
};

/// A small Debian 12 as the plan wants to see one: a host-only initramfs without virtio, a working
/// GRUB 2, a persistent-net rule for 00:1e:67:aa:bb:cc. Its shell knows lsinitramfs,
/// update-initramfs, grub-install, date and find.
[[nodiscard]] MemoryGuest make_debian_guest();

/// Gives a guest disks that begin with these boot loaders, and a shell in which the programs that
/// build initramfs and install boot loaders do what they do to files and disks in memory. Words:
/// "grub2", which loads the guest's core.img from the bios_boot partition or from behind the
/// sector, and puts one there if there is none; "grub2-stale", which loads something else;
/// "grub-legacy" with a stage 1.5 behind it; "grub-legacy-active", which is in the first partition,
/// and other code goes on to that; "lilo"; "other"; "empty".
void use_simulated_shell(MemoryGuest& guest, const std::vector<std::string>& boot_sectors);

/// Puts the stages of GRUB 0.97 into its /boot/grub, where they are not yet.
void put_legacy_stages(MemoryGuest& guest);

/// The name and content of its rules file.
inline constexpr const char* debian_rules_path = "/etc/udev/rules.d/70-persistent-net.rules";

} // namespace coldspare::fixup
