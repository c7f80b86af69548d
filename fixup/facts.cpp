#include "fixup/facts.hpp"

#include "fixup/disk_attachment.hpp"
#include "fixup/fixes.hpp"

namespace coldspare::fixup {

Facts gather_facts(Guest& guest, const std::optional<Inventory>& inventory, InitramfsWay way) {
    const GuestSystem system = guest.system();
    Facts facts{.system = system,
                .files = read_files(guest, files_to_read()),
                .inventory = inventory,
                .rules_directory = guest.status("/etc/udev/rules.d").kind == FileKind::directory,
                .initramfs = gather_initramfs(guest),
                .boot = gather_boot_facts(guest, system),
                .boot_free = guest.free_bytes("/boot"),
                .root_free = guest.free_bytes("/")};
    for (unsigned disk = 0; disk < guest.disk_count(); ++disk) {
        facts.disk_names.push_back(guest.disk_name(disk));
    }
    KernelList list = gather_kernels(guest, facts.system.runs_programs);
    facts.kernels = std::move(list.kernels);
    facts.left_out = std::move(list.left_out);
    facts.rescue = std::move(list.rescue);
    if (way == InitramfsWay::append || !can_rebuild(facts)) {
        for (KernelFacts& kernel : facts.kernels) {
            const std::vector<std::string> missing =
                missing_drivers(kernel, disk_attachment(facts, facts.files));
            if (kernel.content && !missing.empty()) {
                gather_module_files(guest, kernel, {missing.begin(), missing.end()});
            }
        }
    }
    return facts;
}

} // namespace coldspare::fixup
