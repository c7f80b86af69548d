#include "fixup/initramfs.hpp"

#include "fixup/cpio.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sys/stat.h>

// An archive behind the old one, which the kernel unpacks over it. It begins at a multiple of four
// bytes and is not packed, else old kernels do not see it. A directory of it would replace a
// symbolic link of the same name ("lib" of a merged /usr), so only missing ones are in it. The
// lists of modules are those of the whole system: that of the old archive does not know the new
// drivers. No driver of a network card: it would be named in the initramfs.

namespace coldspare::fixup {

namespace {

/// lz4 has no end mark; later kernels take padding for it.
constexpr std::string_view first_kernel_after_lz4 = "5.8";
constexpr std::size_t padding_bytes = 4;

bool is_link(const InitramfsImage& image, const std::string& name) {
    const auto found = image.listing.members.find(name);
    return found != image.listing.members.end() && S_ISLNK(found->second);
}

/// Where the modules lie in this initramfs; empty if it has no list of them.
std::string modules_directory(const KernelFacts& kernel) {
    const std::string below = "lib/modules/" + kernel.version;
    const auto& members = kernel.content->listing.members;
    const bool merged = is_link(*kernel.content, "lib");
    for (const std::string& directory : {"usr/" + below, below}) {
        if (members.contains(directory + "/modules.dep") && !(merged && directory == below)) {
            return directory;
        }
    }
    return {};
}

std::string in_archive(const std::string& path) {
    return path.substr(1);
}

bool is_read_by_name(std::string_view path) {
    return path.starts_with("/etc/udev/rules.d/") || path.starts_with("/etc/systemd/network/") ||
           path.starts_with("/etc/modprobe.d/");
}

/// New copies of the files that were edited, as far as it is known where this initramfs has them.
void add_copies(const InitramfsWork& work, const KernelFacts& kernel,
                std::map<std::string, CpioMember>& members, std::vector<std::string>& warnings) {
    for (const FixPlan& fix : work.input.before) {
        for (const FileEdit& edit : fix.edits) {
            if (edit.reach != Reach::initramfs || edit.lifetime != Lifetime::lasting) {
                continue;
            }
            const std::string name = in_archive(edit.path);
            const bool known =
                is_read_by_name(edit.path) || kernel.content->listing.members.contains(name);
            if (known && edit.kind == EditKind::write) {
                members[name] = {name, S_IFREG | 0644, edit.after};
            } else if (known && edit.kind == EditKind::link) {
                members[name] = {name, S_IFLNK | 0777, edit.after};
            } else if (is_read_by_name(edit.path) && edit.kind == EditKind::remove) {
                members[name] = {name, S_IFLNK | 0777, "/dev/null"}; // as udev is told "none"
            } else {
                warnings.push_back(
                    fmt::format("{} keeps its old copy of {}: build it anew in the VM",
                                kernel.initrd, edit.path));
            }
        }
    }
}

/// The directories that lead to them and that the old archives do not have, parents first.
std::vector<CpioMember> with_directories(const KernelFacts& kernel,
                                         const std::map<std::string, CpioMember>& members) {
    std::set<std::string> directories;
    for (const auto& [name, member] : members) {
        for (std::size_t slash = name.find('/'); slash != std::string::npos;
             slash = name.find('/', slash + 1)) {
            const std::string directory = name.substr(0, slash);
            if (!kernel.content->listing.members.contains(directory)) {
                directories.insert(directory);
            }
        }
    }
    std::vector<CpioMember> all;
    for (const std::string& directory : directories) {
        all.push_back({.name = directory, .mode = S_IFDIR | 0755});
    }
    for (const auto& [name, member] : members) {
        all.push_back(member);
    }
    return all;
}

} // namespace

std::optional<std::string> why_not_append(const InitramfsWork& work, const KernelFacts& kernel) {
    if (!kernel.content) {
        return fmt::format("'{}' cannot be read{}{}", kernel.initrd,
                           kernel.unreadable.empty() ? "" : ": ", kernel.unreadable);
    }
    if (kernel.content->packing == Packing::lz4 &&
        older_version(kernel.version, first_kernel_after_lz4)) {
        return fmt::format("kernel {} finds nothing behind an archive that lz4 packed",
                           kernel.version);
    }
    const std::vector<std::string> missing = missing_drivers(kernel, work.disk);
    if (!missing.empty() && modules_directory(kernel).empty()) {
        return fmt::format("'{}' has no list of modules: it loads only those that it was made for",
                           kernel.initrd);
    }
    // The archive brings the system's own list of modules: one that names 'ext4.ko.xz' would hide
    // an 'ext4.ko' that the image has.
    const std::string directory = modules_directory(kernel);
    for (const std::string& name : missing.empty() ? std::set<std::string>() : kernel.in_initrd) {
        const auto module = kernel.modules.find(name);
        if (module != kernel.modules.end() && !kernel.content->listing.members.contains(fmt::format(
                                                  "{}/{}", directory, module->second.path))) {
            return fmt::format("'{}' has the module {} packed otherwise than the system's list of "
                               "modules says",
                               kernel.initrd, name);
        }
    }
    for (const std::string& name : missing) {
        const auto module = kernel.modules.find(name);
        if (module == kernel.modules.end() || !kernel.module_files.contains(module->second.path)) {
            return fmt::format("the file of the module {} of kernel {} is not there", name,
                               kernel.version);
        }
    }
    return std::nullopt;
}

void add_append(const InitramfsWork& work, FixPlan& plan) {
    for (const KernelFacts* kernel : work.kernels) {
        std::map<std::string, CpioMember> members;
        const std::string directory = modules_directory(*kernel);
        for (const auto& [path, content] : kernel->module_files) {
            const std::string name = fmt::format("{}/{}", directory, path);
            members[name] = {name, S_IFREG | 0644, content};
        }
        add_copies(work, *kernel, members, plan.warnings);
        if (members.empty()) {
            continue;
        }
        const std::size_t odd = kernel->initrd_bytes % padding_bytes;
        const std::string padding(padding_bytes + (odd == 0 ? 0 : padding_bytes - odd), '\0');
        plan.edits.push_back(
            {.path = kernel->initrd,
             .after = padding + write_cpio(with_directories(*kernel, members)),
             .why = fmt::format("kernel {} unpacks this over its initramfs", kernel->version),
             .kind = EditKind::append,
             .before_size = kernel->initrd_bytes});
    }
}

} // namespace coldspare::fixup
