#include "fixup/fixes.hpp"

#include "base/text.hpp"
#include "fixup/kernel_arguments.hpp"
#include "fixup/old_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace coldspare::fixup {

namespace {

constexpr std::size_t shown_bytes = 120;
constexpr std::size_t most_warnings = 20;

/// What is found out while all files are looked at.
struct Findings {
    FixPlan plan;
    std::set<std::string> changed; ///< "root=", "resume=", ...
    std::set<std::string> warned;  ///< words, so that each is said once
};

std::string shown(std::string_view text) {
    return printable(text.substr(0, shown_bytes));
}

void warn(Findings& findings, std::string_view path, const KernelArgument& argument,
          std::string_view advice) {
    if (findings.warned.size() < most_warnings &&
        findings.warned.emplace(argument.piece.text).second) {
        findings.plan.warnings.push_back(
            fmt::format("{}:{}: {}: {}", path, argument.line, shown(argument.piece.text), advice));
    }
}

void refuse(Findings& findings, std::string_view path, const KernelArgument& argument,
            std::string_view reason, std::string_view hint) {
    if (findings.plan.outcome != Outcome::cannot) {
        findings.plan.outcome = Outcome::cannot;
        findings.plan.detail =
            fmt::format("{}:{}: {} {}", path, argument.line, shown(argument.piece.text), reason);
        findings.plan.hint = hint;
    }
}

bool is_suse(const GuestSystem& system) {
    return system.distro.find("sles") != std::string::npos ||
           system.distro.find("suse") != std::string::npos;
}

/// mkinitrd of SUSE takes for root and resume what udev calls them; nash of old Red Hats has no
/// udev and takes UUID=. Everything else takes both.
std::string name_for_initramfs(const GuestSystem& system, const std::string& uuid_name) {
    constexpr std::string_view front = "UUID=";
    return is_suse(system) ? fmt::format("/dev/disk/by-uuid/{}", uuid_name.substr(front.size()))
                           : uuid_name;
}

/// Whether a boot loader's file starts kernels with an initramfs, which alone understands UUID=.
bool has_initramfs(const ArgumentFile& file, std::string_view text) {
    if (file.syntax != ArgumentSyntax::grub1 && file.syntax != ArgumentSyntax::grub2) {
        return true;
    }
    const std::vector<TextLine> lines = text_lines(text);
    return std::ranges::any_of(lines, [](const TextLine& line) {
        return trim(line.piece.text).starts_with("initrd") ||
               trim(line.piece.text).starts_with("module");
    });
}

/// The files that a boot loader reads itself.
bool is_live(ArgumentSyntax syntax) {
    return syntax != ArgumentSyntax::shell && syntax != ArgumentSyntax::lilo;
}

/// The volume that a device argument means, with a UUID of its own; empty if that is not certain.
std::string uuid_for(const PlanInput& input, const DeviceNames& names,
                     const KernelArgument& argument, const Piece& device) {
    const GuestVolume* volume = names.find(device.text);
    if (volume == nullptr) {
        return {};
    }
    const bool is_root = argument.name() == "root";
    const bool root_known =
        std::ranges::find(input.facts.system.volumes, "/", &GuestVolume::mount_point) !=
        input.facts.system.volumes.end();
    if (is_root && argument.by_default && root_known && volume->mount_point != "/") {
        return {};
    }
    if (argument.name().find("resume") != std::string_view::npos && volume->format != "swap" &&
        volume->format != "swsuspend") {
        return {};
    }
    return names.uuid_name(*volume);
}

void look_at_device(const PlanInput& input, const DeviceNames& names, const ArgumentFile& file,
                    const KernelArgument& argument, std::vector<Replacement>& replacements,
                    Findings& findings) {
    const std::optional<Piece> device = device_in(argument);
    const std::optional<DiskName> parsed = device ? names.parse(device->text) : std::nullopt;
    if (!parsed) {
        return;
    }
    const std::string uuid = uuid_for(input, names, argument, *device);
    const std::string& text = *input.files.text(file.path);
    const bool is_root = argument.name() == "root";
    const bool matters = is_root && argument.by_default && is_live(file.syntax) && !file.leftover;
    if (file.syntax == ArgumentSyntax::lilo) {
        warn(findings, file.path, argument,
             "left as it is: LILO keeps its own copy of it, and has to be run again");
    } else if (uuid.empty() || !has_initramfs(file, text)) {
        const std::string_view reason =
            uuid.empty() ? "names a disk of the server, and it is not certain which of the copy's "
                           "that is"
                         : "names a disk of the server, and a kernel without initramfs takes no "
                           "UUID";
        if (matters && !vm_offers(*parsed)) {
            refuse(findings, file.path, argument, reason,
                   "put UUID=... in its place on the server (blkid shows it), and clone again");
        } else if (vm_offers(*parsed) && argument.by_default) {
            warn(findings, file.path, argument,
                 "the VM must call this disk so as well (bus='scsi' or 'sata')");
        } else {
            warn(findings, file.path, argument,
                 is_root ? "this entry does not start in the VM"
                         : "not known which disk of the copy that is: take it out if the start "
                           "waits for it");
        }
    } else {
        replacements.push_back(
            {device->begin, device->text.size(), name_for_initramfs(input.facts.system, uuid)});
        findings.changed.insert(fmt::format("{}=", argument.name()));
    }
}

std::string mac_in_form_of(const std::string& mac, std::string_view old) {
    std::string result;
    const bool upper = old.find_first_of("ABCDEF") != std::string_view::npos;
    for (const char c : mac) {
        result += c == ':' && old.find('-') != std::string_view::npos ? '-'
                  : upper && c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A')
                                                  : c;
    }
    return result;
}

void replace_mac(const Piece& old, const std::string& mac, std::string_view what,
                 std::vector<Replacement>& replacements, Findings& findings) {
    const std::string wanted = mac_in_form_of(mac, old.text);
    if (wanted != old.text) {
        replacements.push_back({old.begin, old.text.size(), wanted});
        findings.changed.emplace(what);
    }
}

/// ifname=NAME:MAC, and BOOTIF=01-MAC of a machine that was installed over the network.
void look_at_nic(const PlanInput& input, const ArgumentFile& file, const KernelArgument& argument,
                 std::vector<Replacement>& replacements, Findings& findings) {
    const Piece value = argument.value();
    const std::vector<NicBinding>& nics = input.wishes.nics;
    constexpr std::size_t mac_size = 17;
    if (argument.name() == "ifname") {
        const std::size_t colon = value.text.find(':');
        const auto nic = std::ranges::find(nics, value.text.substr(0, colon), &NicBinding::name);
        if (colon == std::string_view::npos || value.text.size() - colon - 1 != mac_size) {
            warn(findings, file.path, argument, "not understood, and left as it is");
        } else if (nic == nics.end()) {
            warn(findings, file.path, argument,
                 "the VM has no network card of this name: add one with --nic, or take it out");
        } else {
            replace_mac(part_of(value, colon + 1), nic->mac, "ifname=", replacements, findings);
        }
    } else if (argument.name() == "BOOTIF") {
        if (nics.size() == 1 && value.text.size() == mac_size + 3) {
            replace_mac(part_of(value, 3), nics.front().mac, "BOOTIF=", replacements, findings);
        } else {
            warn(findings, file.path, argument,
                 "names a network card of the server: take it out on the server");
        }
    }
}

/// Words that hardly hurt and that somebody should know.
void look_at_rest(const ArgumentFile& file, const KernelArgument& argument, Findings& findings) {
    const std::string_view name = argument.name();
    const std::string_view value = argument.value().text;
    if (name == "hugepages" || name == "nr_hugepages") {
        warn(findings, file.path, argument,
             "reserves memory that a smaller VM does not have: give it as much, or take it out");
    } else if (name == "isolcpus" || name == "nohz_full" || name == "rcu_nocbs") {
        warn(findings, file.path, argument, "names CPUs of the server: the VM may have fewer");
    } else if (name == "mem" || name == "maxcpus" || name == "nr_cpus") {
        warn(findings, file.path, argument, "limits what the VM may use");
    } else if (name == "console" && value.starts_with("ttyS") && !value.starts_with("ttyS0")) {
        warn(findings, file.path, argument,
             "the VM's first serial port is ttyS0: messages go nowhere");
    } else if (name == "crashkernel" && !value.empty() && value != "auto" &&
               value.find_first_of(":-") == std::string_view::npos) {
        warn(findings, file.path, argument, "reserves memory that a smaller VM may need");
    }
}

void look_at_iscsi(const ArgumentFile& file, const KernelArgument& argument, Findings& findings) {
    const std::string_view name = argument.name();
    const std::string_view value = argument.value().text;
    const bool is_iscsi = (name == "netroot" || name == "root") && value.starts_with("iscsi");
    const bool is_firmware = name == "iscsi_firmware" || name == "rd.iscsi.firmware" ||
                             name == "rd.iscsi.ibft" || (name == "ip" && value == "ibft");
    if ((is_iscsi || is_firmware) && argument.by_default && is_live(file.syntax)) {
        refuse(findings, file.path, argument, "starts the system from an iSCSI volume",
               "take these words out of the boot loader's configuration on the server's copy, or "
               "let the VM start from the same volume instead of a clone");
    }
}

void look_at_file(const PlanInput& input, const DeviceNames& names, const ArgumentFile& file,
                  Findings& findings) {
    const std::string& text = *input.files.text(file.path);
    std::vector<Replacement> replacements;
    for (const KernelArgument& argument : kernel_arguments(file.syntax, text)) {
        look_at_device(input, names, file, argument, replacements, findings);
        look_at_nic(input, file, argument, replacements, findings);
        look_at_iscsi(file, argument, findings);
        if (argument.by_default) {
            look_at_rest(file, argument, findings);
        }
    }
    if (replacements.empty()) {
        return;
    }
    std::optional<std::string> after =
        replace_arguments(file.syntax, text, std::move(replacements));
    if (!after) {
        if (findings.plan.outcome != Outcome::cannot) {
            findings.plan.outcome = Outcome::cannot;
            findings.plan.detail =
                fmt::format("{} has no room for longer kernel arguments", file.path);
            findings.plan.hint = "shorten kernelopts there on the server (grub2-editenv) and clone "
                                 "again";
        }
        return;
    }
    findings.plan.edits.push_back({.path = file.path,
                                   .before = text,
                                   .after = *std::move(after),
                                   .why = "the kernel finds the VM's disks and network cards"});
}

} // namespace

FixPlan plan_kernel_arguments(const PlanInput& input) {
    const DeviceNames names = old_device_names(input.facts);
    Findings findings;
    for (const ArgumentFile& file : argument_files(input.files)) {
        look_at_file(input, names, file, findings);
    }
    FixPlan& plan = findings.plan;
    if (plan.outcome == Outcome::cannot) {
        plan.edits.clear();
    } else if (plan.edits.empty()) {
        plan.detail = "no argument of the kernel names hardware";
    } else {
        std::vector<std::string> paths;
        for (const FileEdit& edit : plan.edits) {
            paths.push_back(edit.path);
        }
        plan.outcome = Outcome::planned;
        plan.detail =
            fmt::format("{} in {}", fmt::join(findings.changed, " "), fmt::join(paths, ", "));
    }
    return plan;
}

} // namespace coldspare::fixup
