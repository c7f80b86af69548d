#include "fixup/boot_services.hpp"
#include "fixup/fixes.hpp"
#include "fixup/lvm_settings.hpp"
#include "fixup/old_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

namespace coldspare::fixup {

namespace {

bool has_physical_volume(const GuestSystem& system) {
    return std::ranges::find(system.volumes, "LVM2_member", &GuestVolume::format) !=
           system.volumes.end();
}

/// Collects what is done, for the one sentence.
struct Work {
    FixPlan plan;
    std::vector<std::string> done;
};

void look_at_lvm_conf(const PlanInput& input, Work& work) {
    for (const char* path : {"/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf"}) {
        const std::string* text = input.files.text(path);
        if (text == nullptr || !has_physical_volume(input.facts.system)) {
            continue;
        }
        std::string after = with_vm_disks(*text, input.facts.system.tables.size());
        if (after != *text) {
            work.plan.edits.push_back({.path = path,
                                       .before = *text,
                                       .after = std::move(after),
                                       .why = "the filter of LVM hid the VM's disks",
                                       .reach = Reach::initramfs});
            work.done.emplace_back("LVM's filter lets the VM's disks through");
        } else if (hides_vm_disks(*text)) {
            work.plan.outcome = Outcome::cannot;
            work.plan.detail = fmt::format("{}: its filter hides the VM's disks, and is not "
                                           "understood",
                                           path);
            work.plan.hint = "let the filter accept /dev/vd.* on the server, and clone again";
        }
    }
}

void look_at_lvm_devices(const PlanInput& input, Work& work) {
    constexpr const char* path = "/etc/lvm/devices/system.devices";
    const std::string* text = input.files.text(path);
    if (text == nullptr) {
        return;
    }
    const bool has_nodes = !input.files.in("/etc/iscsi/nodes").empty() ||
                           !input.files.in("/var/lib/iscsi/nodes").empty();
    DevicesRewrite rewrite =
        rewrite_devices_file(*text, input.facts.system.volumes,
                             has_nodes ? Elsewhere::volumes_to_come : Elsewhere::nothing);
    if (rewrite.what == DevicesFile::remove) {
        work.plan.edits.push_back({.path = path,
                                   .why = "it lists the server's disks by serial number, and LVM "
                                          "would not look at others",
                                   .kind = EditKind::remove,
                                   .reach = Reach::initramfs});
        work.done.emplace_back("LVM looks at all disks");
    } else if (rewrite.what == DevicesFile::rewrite) {
        if (rewrite.elsewhere != 0) {
            work.plan.warnings.push_back(
                fmt::format("{}: {} of its physical volumes are not in the copy: those of the copy "
                            "are listed by their PVID, the others as they were",
                            path, rewrite.elsewhere));
        }
        if (rewrite.after != *text) {
            work.plan.edits.push_back({.path = path,
                                       .before = *text,
                                       .after = std::move(rewrite.after),
                                       .why = "LVM finds the copy's physical volumes by PVID",
                                       .reach = Reach::initramfs});
            work.done.emplace_back("LVM finds the copy's disks");
        }
    }
}

/// Lists of disks that programs keep. They are made anew; inside the appliance too, so that only
/// those go that name what the VM cannot have.
void look_at_caches(const PlanInput& input, Work& work) {
    constexpr std::array<std::string_view, 6> caches{
        "/etc/lvm/cache/.cache", "/etc/lvm/.cache",    "/etc/blkid.tab",
        "/etc/blkid/blkid.tab",  "/etc/blkid.tab.old", "/etc/blkid/blkid.tab.old"};
    for (const std::string_view path : caches) {
        const std::string* text = input.files.text(path);
        const bool stale =
            text != nullptr &&
            std::ranges::any_of(words_in({0, *text}, " \t\r\n\"<>,"), [](const Piece& word) {
                const std::optional<DiskName> name = parse_disk_name(word.text);
                return name && name->family != DiskFamily::link && !vm_offers(*name);
            });
        if (stale) {
            work.plan.edits.push_back({.path = std::string(path),
                                       .why = "it lists disks of the server, and is made anew",
                                       .kind = EditKind::remove});
            work.done.push_back(fmt::format("{} removed", path));
        }
    }
}

/// Whether the server's own disks were under multipath: its configuration lists some.
bool used_multipath(const FileTree& files) {
    const auto has_entry = [&files](std::string_view path) {
        const std::string* text = files.text(path);
        return text != nullptr && !table_lines(*text).empty();
    };
    return has_entry("/etc/multipath/wwids") || has_entry("/etc/multipath/bindings") ||
           has_entry("/var/lib/multipath/bindings") || !multipath_aliases(files).empty();
}

void look_at_multipath(const PlanInput& input, Work& work) {
    const FileTree& files = input.files;
    if (!used_multipath(files)) {
        return;
    }
    std::vector<std::string_view> services;
    for (const std::string_view service :
         {"multipathd", "multipath-tools", "multipath-tools-boot", "boot.multipath"}) {
        if (!starting_links(files, service).empty()) {
            services.push_back(service);
        }
    }
    if (services.empty()) {
        return;
    }
    if (!files.in("/etc/iscsi/nodes").empty() || !files.in("/var/lib/iscsi/nodes").empty()) {
        work.plan.warnings.push_back(
            fmt::format("{} stays on, because the system has iSCSI volumes: give the VM's own disk "
                        "bus='virtio', which multipath leaves alone",
                        fmt::join(services, ", ")));
        return;
    }
    for (const std::string_view service : services) {
        for (FileEdit& edit :
             edits_to_disable(files, service, "the VM's disk has one path, which is its own")) {
            work.plan.edits.push_back(std::move(edit));
        }
    }
    work.done.push_back(fmt::format("{} turned off", fmt::join(services, ", ")));
    if (files.exists("/usr/lib/dracut") || files.exists("/usr/bin/dracut") ||
        files.exists("/sbin/dracut")) {
        work.plan.warnings.push_back("multipath may also be in the initramfs: if the start waits "
                                     "for mpath disks, add rd.multipath=0 to the kernel's "
                                     "arguments");
    }
}

/// Arrays of which the copy has one leg. Debian's initramfs of 7 and before asks first.
void look_at_arrays(const PlanInput& input, Work& work) {
    constexpr std::string_view first_that_starts = "3.16"; // Debian 8
    std::map<std::string, unsigned> legs;
    for (const GuestVolume& volume : input.facts.system.volumes) {
        legs[volume.format == "linux_raid_member" ? volume.uuid : ""] += 1;
    }
    legs.erase("");
    const bool single =
        std::ranges::any_of(legs, [](const auto& array) { return array.second == 1; });
    if (!single) {
        return;
    }
    work.plan.warnings.push_back("an array has one leg in the copy: it runs degraded in the VM, "
                                 "and mdadm sends mail about it");
    const std::string path = "/etc/initramfs-tools/conf.d/mdadm";
    const std::string* text = input.files.text(path);
    const std::vector<KernelFacts>& kernels = input.facts.kernels;
    const bool asks = input.facts.initramfs.builder == InitramfsBuilder::initramfs_tools &&
                      !kernels.empty() && older_version(kernels.front().version, first_that_starts);
    constexpr std::string_view variable = "BOOT_DEGRADED=";
    std::string after = text == nullptr ? "" : *text;
    bool said = false;
    for (const TextLine& line : text_lines(input.files.text_or_empty(path))) {
        if (line.piece.text.starts_with(variable)) {
            const Piece value =
                part_of(line.piece, variable.size(),
                        line.piece.text.find_last_not_of(" \t\r") + 1 - variable.size());
            said = true;
            after = value.text == "true"
                        ? after
                        : replaced(*text, {{value.begin, value.text.size(), "true"}});
        }
    }
    if (!said && asks) {
        after += after.empty() || after.ends_with('\n') ? "" : "\n";
        after += "BOOT_DEGRADED=true\n";
    }
    if (text != nullptr ? after != *text : !after.empty()) {
        work.plan.edits.push_back({.path = path,
                                   .before = text == nullptr ? std::nullopt : std::optional(*text),
                                   .after = std::move(after),
                                   .why = "the initramfs starts an array that lacks a leg",
                                   .reach = Reach::initramfs});
        work.done.emplace_back("arrays start with one leg");
    }
}

} // namespace

FixPlan plan_storage_stack(const PlanInput& input) {
    Work work;
    look_at_lvm_conf(input, work);
    look_at_lvm_devices(input, work);
    look_at_caches(input, work);
    look_at_multipath(input, work);
    look_at_arrays(input, work);
    if (work.plan.outcome == Outcome::cannot) {
        work.plan.edits.clear();
    } else if (work.plan.edits.empty()) {
        work.plan.detail = "LVM, multipath and arrays take the VM's disks as they are";
    } else {
        work.plan.outcome = Outcome::planned;
        work.plan.detail = fmt::format("{}", fmt::join(work.done, "; "));
    }
    return std::move(work.plan);
}

} // namespace coldspare::fixup
