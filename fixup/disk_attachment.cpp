#include "fixup/disk_attachment.hpp"

#include "fixup/old_names.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace coldspare::fixup {

namespace {

bool has(const std::set<std::string>& names, std::string_view name) {
    return names.contains(std::string(name));
}

bool has_driver(const KernelFacts& kernel, std::string_view driver) {
    return has(kernel.builtin, driver) || has(kernel.loadable, driver);
}

/// A controller that qemu has and the drivers of it, any of which will do; then the driver of the
/// disks behind it.
struct Controller {
    std::string_view bus;
    std::string_view model;
    std::string_view driver;
    std::string_view disk_driver;
    bool names_sd; ///< its disks are /dev/sda, not /dev/hda
};

/// Without virtio. The PIIX of qemu's "pc" is IDE to `piix`, whose disks are /dev/hda, and ATA to
/// `ata_piix` of later kernels.
constexpr std::array<Controller, 5> others{{{"ide", "", "ata_piix", "sd_mod", true},
                                            {"ide", "", "piix", "ide_disk", false},
                                            {"sata", "", "ahci", "sd_mod", true},
                                            {"scsi", "lsilogic", "sym53c8xx", "sd_mod", true},
                                            {"scsi", "lsisas1068", "mptsas", "sd_mod", true}}};

/// The first kernel whose ata_piix takes the PIIX3 for its own; before, `piix` does.
constexpr std::string_view first_ata_piix_kernel = "2.6.19";

bool fits(const KernelFacts& kernel, const Controller& controller) {
    if (controller.driver == "ata_piix" && older_version(kernel.version, first_ata_piix_kernel) &&
        has_driver(kernel, "piix")) {
        return false;
    }
    return has_driver(kernel, controller.driver);
}

DiskAttachment attachment_of(const Controller& controller) {
    return {.bus = std::string(controller.bus),
            .model = std::string(controller.model),
            .drivers = {controller.driver, controller.disk_driver}};
}

bool insists_on_hd(const FileTree& files) {
    return std::ranges::any_of(boot_device_names(files),
                               [](const std::string& name) { return name.starts_with("/dev/hd"); });
}

DiskAttachment without_virtio(const Facts& facts, const FileTree& files,
                              const KernelFacts& kernel) {
    const bool wants_sd = insists_on_sd(facts.system, files);
    const bool wants_hd = insists_on_hd(files);
    for (const Controller& controller : others) {
        const bool named_well = controller.names_sd ? !wants_hd || wants_sd : !wants_sd;
        if (named_well && fits(kernel, controller)) {
            return attachment_of(controller);
        }
    }
    for (const Controller& controller : others) {
        if (fits(kernel, controller)) {
            return attachment_of(controller);
        }
    }
    return {};
}

} // namespace

DiskAttachment disk_attachment(const Facts& facts, const FileTree& files) {
    if (facts.kernels.empty()) {
        return {
            .bus = "virtio", .drivers = {"virtio_pci", "virtio_blk"}, .extras = {"virtio_scsi"}};
    }
    const KernelFacts& kernel = facts.kernels.front();
    const bool has_blk = has_driver(kernel, "virtio_blk");
    const bool has_scsi = has_driver(kernel, "virtio_scsi");
    if (!has_driver(kernel, "virtio_pci") || (!has_blk && !has_scsi)) {
        return without_virtio(facts, files, kernel);
    }
    if (has_scsi && (!has_blk || insists_on_sd(facts.system, files))) {
        return {.bus = "scsi",
                .model = "virtio-scsi",
                .drivers = {"virtio_pci", "virtio_scsi", "sd_mod"},
                .extras = {"virtio_blk"}};
    }
    return {.bus = "virtio", .drivers = {"virtio_pci", "virtio_blk"}, .extras = {"virtio_scsi"}};
}

bool knows(const KernelFacts& kernel, const DiskAttachment& disk) {
    // Where the disks' own driver is not known to be there, it is built in: no kernel lacks it.
    return !disk.bus.empty() && std::ranges::all_of(disk.drivers, [&](std::string_view driver) {
        return has_driver(kernel, driver) || driver == "sd_mod" || driver == "ide_disk";
    });
}

std::vector<std::string> missing_drivers(const KernelFacts& kernel, const DiskAttachment& disk) {
    std::vector<std::string> missing;
    for (const std::vector<std::string_view>* list : {&disk.drivers, &disk.extras}) {
        for (const std::string_view driver : *list) {
            if (has(kernel.loadable, driver) && !has(kernel.in_initrd, driver)) {
                missing.emplace_back(driver);
            }
        }
    }
    std::ranges::sort(missing);
    return missing;
}

bool can_rebuild(const Facts& facts) {
    return facts.system.runs_programs && facts.initramfs.builder != InitramfsBuilder::none;
}

} // namespace coldspare::fixup
