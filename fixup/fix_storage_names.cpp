#include "fixup/fixes.hpp"

#include "base/text.hpp"
#include "fixup/disk_tables.hpp"
#include "fixup/old_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::size_t shown_bytes = 120;

std::string shown(std::string_view text) {
    return printable(text.substr(0, shown_bytes));
}

void edit(const PlanInput& input, const std::string& path, std::string after, std::string_view why,
          Reach reach, FixPlan& plan) {
    const std::string* before = input.files.text(path);
    if (before != nullptr && *before != after) {
        plan.edits.push_back({.path = path,
                              .before = *before,
                              .after = std::move(after),
                              .why = std::string(why),
                              .reach = reach});
    }
}

void take(TableRewrite rewrite, const PlanInput& input, const std::string& path,
          std::string_view why, Reach reach, FixPlan& plan) {
    plan.warnings.insert(plan.warnings.end(), rewrite.warnings.begin(), rewrite.warnings.end());
    if (!rewrite.obstacles.empty() && plan.outcome != Outcome::cannot) {
        plan.outcome = Outcome::cannot;
        plan.detail = rewrite.obstacles.front();
        plan.hint = "put UUID=... in its place on the server (blkid shows it), and clone again";
    }
    edit(input, path, std::move(rewrite.after), why, reach, plan);
}

/// The device of the root file system as fstab has it.
std::string root_device(const std::string& fstab) {
    for (const TableLine& line : table_lines(fstab)) {
        if (line.fields.size() > 1 && line.fields[1].text == "/") {
            return std::string(line.fields[0].text);
        }
    }
    return {};
}

void look_at_tables(const PlanInput& input, const DeviceNames& names, FixPlan& plan) {
    const std::string none;
    const std::string* fstab = input.files.text("/etc/fstab");
    const std::string* crypttab = input.files.text("/etc/crypttab");
    const GuestSystem& system = input.facts.system;
    if (fstab != nullptr) {
        take(rewrite_fstab(*fstab, crypttab == nullptr ? none : *crypttab, names, system), input,
             "/etc/fstab", "the VM's disks have other names, and the same UUIDs", Reach::system,
             plan);
    }
    if (crypttab == nullptr) {
        return;
    }
    const std::string root = fstab == nullptr ? none : root_device(*fstab);
    const InitramfsOption option =
        input.facts.initramfs.builder == InitramfsBuilder::initramfs_tools ? InitramfsOption::add
                                                                           : InitramfsOption::leave;
    take(rewrite_crypttab(*crypttab, root, names, system, option), input, "/etc/crypttab",
         "encrypted volumes by their UUID, and the root's opened by the initramfs",
         Reach::initramfs, plan);
    const bool has_clevis = input.files.exists("/usr/share/initramfs-tools/hooks/clevis") ||
                            input.files.exists("/usr/lib/dracut/modules.d/60clevis-pin-tpm2");
    if (has_clevis && !table_lines(*crypttab).empty()) {
        plan.warnings.push_back("/etc/crypttab: Clevis is installed: a volume that it opens with "
                                "the server's TPM asks for its passphrase in the VM");
    }
}

/// RESUME= of Debian's initramfs-tools.
void look_at_resume(const PlanInput& input, const DeviceNames& names, FixPlan& plan) {
    for (const std::string& path : input.files.in("/etc/initramfs-tools/conf.d")) {
        const std::string_view text = input.files.text_or_empty(path);
        std::vector<Replacement> replacements;
        for (const TextLine& line : text_lines(text)) {
            constexpr std::string_view variable = "RESUME=";
            if (!line.piece.text.starts_with(variable)) {
                continue;
            }
            const std::vector<Piece> words =
                words_in(part_of(line.piece, variable.size()), " \t\r\"'");
            if (words.empty() || !names.parse(words[0].text)) {
                continue;
            }
            const GuestVolume* volume = names.find(words[0].text);
            const std::string uuid = volume == nullptr || !volume->format.starts_with("sw")
                                         ? ""
                                         : names.uuid_name(*volume);
            if (!uuid.empty()) {
                replacements.push_back({words[0].begin, words[0].text.size(), uuid});
            } else {
                plan.warnings.push_back(fmt::format(
                    "{}:{}: {}: not known which swap space of the copy this is: the start waits "
                    "for it, up to 30 seconds; RESUME=none ends that",
                    path, line.number, shown(words[0].text)));
            }
        }
        edit(input, path, replaced(text, std::move(replacements)), "the swap space by its UUID",
             Reach::initramfs, plan);
    }
}

/// DEVICE lines of mdadm.conf: arrays are found by their UUID on whatever disks there are.
void look_at_mdadm(const PlanInput& input, FixPlan& plan) {
    for (const char* path : {"/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"}) {
        const std::string_view text = input.files.text_or_empty(path);
        std::vector<Replacement> replacements;
        for (const TableLine& line : table_lines(text)) {
            std::string first(line.fields[0].text);
            std::ranges::transform(first, first.begin(), [](char c) {
                return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
            });
            const std::vector<Piece> words(line.fields.begin(),
                                           std::ranges::find_if(line.fields, [](const Piece& word) {
                                               return word.text.starts_with('#');
                                           }));
            const bool by_name = std::ranges::any_of(words, [](const Piece& word) {
                return word.text.starts_with("/dev/") && !word.text.starts_with("/dev/vd");
            });
            if (first.starts_with("DEV") && by_name) {
                const std::size_t begin = words[1].begin;
                replacements.push_back({begin, words.back().end() - begin, "partitions"});
            }
            const bool of_devices = std::ranges::any_of(
                line.fields, [](const Piece& word) { return word.text.starts_with("devices="); });
            if (first == "ARRAY" && of_devices) {
                plan.warnings.push_back(fmt::format(
                    "{}:{}: devices= names disks of the server: the array starts in the VM only "
                    "with UUID= alone",
                    path, line.number));
            }
        }
        edit(input, path, replaced(text, std::move(replacements)),
             "arrays are found on disks of any name", Reach::initramfs, plan);
    }
}

/// Files that name disks and that nothing at boot needs: said once each.
void look_at_others(const PlanInput& input, const DeviceNames& names, FixPlan& plan) {
    struct Other {
        std::string_view path;
        std::string_view advice;
    };
    constexpr std::array<Other, 7> others{{
        {"/etc/smartd.conf", "smartd finds no such disk in the VM; disable it there"},
        {"/etc/smartmontools/smartd.conf", "smartd finds no such disk in the VM; disable it there"},
        {"/boot/grub/device.map", "remove this file in the VM before grub-install"},
        {"/boot/grub2/device.map", "remove this file in the VM before grub2-install"},
        {"/etc/default/grub_installdevice", "write the VM's disk there before the boot loader is "
                                            "updated"},
        {"/etc/raw.map", "names of the server"},
        {"/etc/sysconfig/rawdevices", "names of the server"},
    }};
    for (const Other& other : others) {
        const std::string_view text = input.files.text_or_empty(other.path);
        for (const TableLine& line : table_lines(text)) {
            const auto named = std::ranges::find_if(
                line.fields, [&](const Piece& word) { return names.parse(word.text).has_value(); });
            if (named != line.fields.end()) {
                plan.warnings.push_back(fmt::format("{}:{}: {}: {}", other.path, line.number,
                                                    shown(named->text), other.advice));
                break;
            }
        }
    }
    const std::string* answers = input.files.text("/var/cache/debconf/config.dat");
    const std::size_t question =
        answers == nullptr ? std::string::npos : answers->find("Name: grub-pc/install_devices\n");
    if (question == std::string::npos) {
        return;
    }
    const std::string block = answers->substr(question, answers->find("\n\n", question) - question);
    const std::size_t value = block.find("\nValue: ");
    if (value != std::string::npos &&
        names.parse(block.substr(value + 8, block.find_first_of(",\n", value + 8) - value - 8))) {
        plan.warnings.push_back("/var/cache/debconf/config.dat: grub-pc/install_devices names a "
                                "disk of the server: run 'dpkg-reconfigure grub-pc' in the VM "
                                "before GRUB is updated");
    }
}

/// A system that sleeps in its swap space would wake up on other hardware, with files open that
/// have changed since.
void look_for_sleep(const PlanInput& input, FixPlan& plan) {
    for (const GuestVolume& volume : input.facts.system.volumes) {
        if (volume.format.starts_with("swsusp")) {
            plan.outcome = Outcome::cannot;
            plan.detail = fmt::format("the swap space {} holds a hibernated system", volume.device);
            plan.hint = "start the server, shut it down, and clone again";
        }
    }
}

} // namespace

FixPlan plan_storage_names(const PlanInput& input) {
    FixPlan plan;
    const DeviceNames names = old_device_names(input.facts);
    look_for_sleep(input, plan);
    look_at_tables(input, names, plan);
    look_at_resume(input, names, plan);
    look_at_mdadm(input, plan);
    look_at_others(input, names, plan);
    if (plan.outcome == Outcome::cannot) {
        plan.edits.clear();
    } else if (plan.edits.empty()) {
        plan.detail = "every volume has a name that the VM knows";
    } else {
        std::vector<std::string> paths;
        for (const FileEdit& change : plan.edits) {
            paths.push_back(change.path);
        }
        plan.outcome = Outcome::planned;
        plan.detail = fmt::format("names of the server's disks in {}", fmt::join(paths, ", "));
    }
    return plan;
}

} // namespace coldspare::fixup
