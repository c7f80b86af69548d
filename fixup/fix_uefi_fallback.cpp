#include "base/text.hpp"
#include "fixup/boot_choice.hpp"
#include "fixup/boot_warnings.hpp"
#include "fixup/fixes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

// A server's firmware remembers which loader to start, in its NVRAM, which is not cloned. A
// firmware that remembers nothing starts EFI/BOOT/BOOTX64.EFI from the EFI system partition. The
// distribution's loader works there as well as in its own directory (the directory of its
// configuration is built into it), so it is copied: no program of the copy runs. With shim the
// loader that it starts is copied beside it. fbx64.efi is left out: shim would start it there, and
// it writes boot entries and resets the machine, which is one more thing that can go wrong at the
// first start. Where the distribution has put it there itself, with shim, that is left as it is.

namespace coldspare::fixup {

namespace {

using Files = std::vector<const EspFile*>;

/// The loaders of one directory below EFI/ that belong together.
struct Vendor {
    std::string directory;
    std::string suffix; ///< "x64", "ia32", "aa64"
    const EspFile* shim = nullptr;
    const EspFile* loader = nullptr; ///< GRUB or systemd-boot
    Files beside;                    ///< what shim starts, and the helper that enrols keys
    bool has_config = false;
};

FixPlan cannot(std::string detail, std::string_view hint) {
    return {.outcome = Outcome::cannot, .detail = std::move(detail), .hint = std::string(hint)};
}

const EspFile* find(const EspFacts& esp, std::string_view directory, std::string_view name) {
    for (const EspFile& file : esp.files) {
        if (lower_case(file.directory) == lower_case(directory) && lower_case(file.name) == name) {
            return &file;
        }
    }
    return nullptr;
}

/// Names of the architecture in file names, the likelier one first. A 32-bit firmware may start a
/// 64-bit system.
std::vector<std::string> suffixes(std::string_view arch) {
    if (arch == "x86_64") {
        return {"x64", "ia32"};
    }
    if (arch == "aarch64") {
        return {"aa64"};
    }
    return arch.starts_with("i") ? std::vector<std::string>{"ia32", "x64"}
                                 : std::vector<std::string>{};
}

bool is_of_others(std::string_view directory) {
    const std::string name = lower_case(directory);
    return name == "boot" || name == "microsoft";
}

std::optional<Vendor> vendor_in(const EspFacts& esp, const std::string& directory,
                                const std::string& suffix) {
    Vendor vendor{.directory = directory, .suffix = suffix};
    const auto first = [&](std::initializer_list<std::string> names) -> const EspFile* {
        for (const std::string& name : names) {
            const EspFile* file = find(esp, directory, name);
            if (file != nullptr && !file->content.empty()) {
                return file;
            }
        }
        return nullptr;
    };
    // SUSE's and Red Hat's older names have no suffix.
    vendor.loader = first(
        {fmt::format("grub{}.efi", suffix), "grub.efi", fmt::format("systemd-boot{}.efi", suffix)});
    if (vendor.loader == nullptr) {
        return std::nullopt;
    }
    vendor.has_config = find(esp, directory, "grub.cfg") != nullptr ||
                        find(esp, directory, "grub.conf") != nullptr ||
                        lower_case(directory) == "systemd";
    if (!lower_case(vendor.loader->name).starts_with("grub")) {
        return vendor;
    }
    vendor.shim = first({fmt::format("shim{}.efi", suffix), "shim.efi"});
    for (const std::string& name : {fmt::format("grub{}.efi", suffix), std::string("grub.efi"),
                                    fmt::format("mm{}.efi", suffix), std::string("mokmanager.efi"),
                                    std::string("grub.cfg")}) {
        const EspFile* file = find(esp, directory, name);
        // GRUB that SUSE signs looks for its configuration beside itself.
        const bool wanted = name != "grub.cfg" || find(esp, directory, "grub.efi") != nullptr;
        if (vendor.shim != nullptr && file != nullptr && wanted) {
            vendor.beside.push_back(file);
        }
    }
    return vendor;
}

std::vector<Vendor> vendors_of(const EspFacts& esp, std::string_view arch) {
    std::vector<std::string> directories;
    for (const EspFile& file : esp.files) {
        if (!is_of_others(file.directory) &&
            std::ranges::find(directories, file.directory) == directories.end()) {
            directories.push_back(file.directory);
        }
    }
    for (const std::string& suffix : suffixes(arch)) {
        std::vector<Vendor> vendors;
        for (const std::string& directory : directories) {
            if (std::optional<Vendor> vendor = vendor_in(esp, directory, suffix)) {
                vendors.push_back(*std::move(vendor));
            }
        }
        if (!vendors.empty()) {
            return vendors;
        }
    }
    return {};
}

/// Whether a distribution, as libguestfs names it, calls its directory so.
bool fits(std::string_view distro, std::string_view directory) {
    struct Alias {
        std::string_view distro;
        std::string_view directory;
    };
    constexpr std::array<Alias, 8> aliases{{{"rhel", "redhat"},
                                            {"centos", "redhat"},
                                            {"oraclelinux", "redhat"},
                                            {"scientificlinux", "redhat"},
                                            {"sles", "suse"},
                                            {"opensuse", "suse"},
                                            {"opensuse", "opensuse-leap"},
                                            {"ucs", "univention"}}};
    const std::string name = lower_case(directory);
    return name == distro || std::ranges::any_of(aliases, [&](const Alias& alias) {
               return alias.distro == distro && alias.directory == name;
           });
}

/// The directory of this system; what is said when there are several is a warning.
const Vendor* choose(const std::vector<Vendor>& vendors, std::string_view distro,
                     std::vector<std::string>& warnings) {
    if (vendors.size() <= 1) {
        return vendors.empty() ? nullptr : &vendors.front();
    }
    for (const Vendor& vendor : vendors) {
        if (fits(distro, vendor.directory)) {
            return &vendor;
        }
    }
    const auto found = std::ranges::find(vendors, true, &Vendor::has_config);
    const Vendor& chosen = found == vendors.end() ? vendors.front() : *found;
    std::vector<std::string> names;
    for (const Vendor& vendor : vendors) {
        names.push_back("EFI/" + vendor.directory);
    }
    warnings.push_back(fmt::format("{} all have a boot loader, and none is named '{}': EFI/{} was "
                                   "taken; see that it is the right one",
                                   fmt::join(names, ", "), distro, chosen.directory));
    return &chosen;
}

/// EFI/BOOT as far as it is there.
struct Fallback {
    std::string directory; ///< its path
    const EspFile* file = nullptr;
    bool has_loader = false;  ///< a GRUB beside it, for shim
    bool has_entries = false; ///< shim's fallback program beside it, and a list for that
};

Fallback fallback_of(const EspFacts& esp, const std::string& suffix) {
    Fallback fallback{.directory = esp.root + "/BOOT",
                      .file = find(esp, "boot", fmt::format("boot{}.efi", suffix))};
    for (const EspFile& file : esp.files) {
        const std::string name = lower_case(file.name);
        if (lower_case(file.directory) == "boot") {
            fallback.directory = esp.root + "/" + file.directory;
            fallback.has_loader |= name == fmt::format("grub{}.efi", suffix) || name == "grub.efi";
        }
    }
    const bool has_program = find(esp, "boot", fmt::format("fb{}.efi", suffix)) != nullptr ||
                             find(esp, "boot", "fallback.efi") != nullptr;
    const bool has_list = std::ranges::any_of(esp.files, [](const EspFile& file) {
        return !is_of_others(file.directory) && lower_case(file.name).starts_with("boot") &&
               lower_case(file.name).ends_with(".csv");
    });
    fallback.has_entries = has_program && has_list;
    return fallback;
}

FileEdit copy_edit(const EspFile& from, const std::string& to, std::string_view why) {
    return {.path = to, .after = from.path, .why = std::string(why), .kind = EditKind::copy};
}

/// The copies that make EFI/BOOT start what `vendor` has.
std::vector<FileEdit> copies(const EspFacts& esp, const Vendor& vendor, const Fallback& fallback) {
    std::vector<FileEdit> edits;
    std::string upper = vendor.suffix;
    std::ranges::transform(upper, upper.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    for (const EspFile* file : vendor.beside) {
        if (find(esp, "boot", lower_case(file->name)) == nullptr) {
            edits.push_back(
                copy_edit(*file, fallback.directory + "/" + file->name, "what shim starts"));
        }
    }
    const EspFile* config = find(esp, vendor.directory, "grub.conf");
    if (vendor.shim == nullptr && config != nullptr &&
        find(esp, "boot", fmt::format("boot{}.conf", vendor.suffix)) == nullptr) {
        // GRUB 0.97 for UEFI, of Red Hat 6: it looks for its own name.
        edits.push_back(copy_edit(*config, fmt::format("{}/BOOT{}.conf", fallback.directory, upper),
                                  "the menu of that boot loader"));
    }
    if (fallback.file == nullptr) {
        edits.push_back(copy_edit(vendor.shim != nullptr ? *vendor.shim : *vendor.loader,
                                  fmt::format("{}/BOOT{}.EFI", fallback.directory, upper),
                                  "what a firmware without boot entries starts"));
    }
    return edits;
}

/// Whether the EFI/BOOT that is there starts this system.
enum class Verdict { starts, lacks_loader, unknown };

Verdict judge(const EspFacts& esp, const Vendor& vendor, const Fallback& fallback) {
    const bool is_shim = vendor.shim != nullptr && fallback.file->content == vendor.shim->content;
    if (fallback.has_entries) {
        return Verdict::starts;
    }
    if (is_shim) {
        return fallback.has_loader ? Verdict::starts : Verdict::lacks_loader;
    }
    const bool known = std::ranges::any_of(esp.files, [&](const EspFile& file) {
        const bool beside = lower_case(file.directory) == "boot";
        return (lower_case(file.directory) == lower_case(vendor.directory) &&
                file.content == fallback.file->content && !file.content.empty()) ||
               (beside && vendor.shim != nullptr && file.content == vendor.loader->content);
    });
    return known ? Verdict::starts : Verdict::unknown;
}

std::uint64_t size_of(const EspFacts& esp, const std::vector<FileEdit>& edits) {
    std::uint64_t size = 0;
    for (const FileEdit& edit : edits) {
        for (const EspFile& file : esp.files) {
            size += file.path == edit.after ? file.content.size() : 0;
        }
    }
    return size;
}

FixPlan plan_copies(const EspFacts& esp, const Vendor& vendor, const Fallback& fallback) {
    FixPlan plan{.outcome = Outcome::planned,
                 .detail = fmt::format("the loader of EFI/{} copied to where a firmware without "
                                       "boot entries looks",
                                       vendor.directory),
                 .edits = copies(esp, vendor, fallback)};
    constexpr std::uint64_t reserve = std::uint64_t{1} << 20;
    const std::uint64_t need = size_of(esp, plan.edits) + reserve;
    return esp.free >= need
               ? plan
               : cannot(fmt::format("{} has {} free, and a copy of the boot loader needs {}",
                                    esp.mount_point, format_bytes(esp.free), format_bytes(need)),
                        "remove files from the EFI system partition on the server and clone again");
}

FixPlan plan_for(const PlanInput& input, const EspFacts& esp) {
    if (esp.mount_point.empty()) {
        return cannot(fmt::format("the EFI system partition {} has no place in /etc/fstab and no "
                                  "empty /boot/efi",
                                  esp.device),
                      "make /boot/efi, or an entry in /etc/fstab, on the server and clone again");
    }
    FixPlan plan;
    const std::string& arch = input.facts.system.arch;
    const std::vector<Vendor> vendors = vendors_of(esp, arch);
    const Vendor* vendor = choose(vendors, input.facts.system.distro, plan.warnings);
    const std::vector<std::string> names = suffixes(arch);
    const Fallback fallback = fallback_of(esp, vendor != nullptr ? vendor->suffix
                                               : names.empty()   ? std::string("x64")
                                                                 : names.front());
    const std::string path =
        fallback.file == nullptr ? "" : fallback.file->path.substr(esp.mount_point.size() + 1);
    if (vendor == nullptr && fallback.file == nullptr) {
        return cannot("the EFI system partition has no GRUB and no systemd-boot",
                      "install GRUB (grub-efi-amd64, grub2-efi-x64) on the server and clone again");
    }
    const Verdict verdict = vendor == nullptr || fallback.file == nullptr
                                ? Verdict::unknown
                                : judge(esp, *vendor, fallback);
    if (vendor == nullptr) {
        plan.detail = fmt::format("the firmware starts {} by itself", path);
    } else if (fallback.file == nullptr || verdict == Verdict::lacks_loader) {
        std::vector<std::string> warnings = std::move(plan.warnings);
        plan = plan_copies(esp, *vendor, fallback);
        plan.warnings = std::move(warnings);
    } else if (verdict == Verdict::starts) {
        plan.detail = fmt::format("{} starts EFI/{}", path, vendor->directory);
        plan.warnings.clear();
    } else {
        plan.detail = fmt::format("there is a {} already", path);
        plan.warnings.push_back(fmt::format(
            "{} is none of the loaders in EFI/{} and is left as it is: if the copy does not start "
            "by it, put {} in its place on the server",
            path, vendor->directory,
            (vendor->shim != nullptr ? vendor->shim : vendor->loader)
                ->path.substr(esp.mount_point.size() + 1)));
    }
    return plan;
}

} // namespace

FixPlan plan_uefi_fallback(const PlanInput& input) {
    if (boot_choice(input.facts).loader != Loader::uefi || !input.facts.boot.esp) {
        return {.detail = "the system does not start by UEFI"};
    }
    FixPlan plan = plan_for(input, *input.facts.boot.esp);
    for (std::string& warning : boot_warnings(input)) {
        plan.warnings.push_back(std::move(warning));
    }
    return plan;
}

} // namespace coldspare::fixup
