#include "fixup/vm_requirements.hpp"

#include "fixup/boot_choice.hpp"
#include "fixup/guest_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace coldspare::fixup {

namespace {

/// The first kernel that knows the chipset of q35 (ICH9) from end to end.
constexpr std::string_view first_q35_kernel = "3.0";

/// What qemu's comma-separated options take: a comma in a file name is written twice.
std::string option_value(const std::string& text) {
    std::string value;
    for (const char c : text) {
        value += c == ',' ? std::string(",,") : std::string(1, c);
    }
    return value;
}

} // namespace

VmRequirements vm_requirements(const Facts& facts, std::span<const NicBinding> nics) {
    const KernelFacts none;
    const KernelFacts& kernel = facts.kernels.empty() ? none : facts.kernels.front();
    const auto has = [&kernel](const char* module) {
        return kernel.builtin.contains(module) || kernel.loadable.contains(module);
    };
    const bool insists_on_sda =
        std::ranges::any_of(facts.boot.device_names, [](const std::string& line) {
            return line.find("/dev/sd") != std::string::npos;
        });
    const BootChoice choice = boot_choice(facts);
    const bool uefi = choice.loader == Loader::uefi;
    VmRequirements vm{
        .firmware = uefi ? "uefi" : "bios",
        .machine = older_version(kernel.version, first_q35_kernel) ? "pc" : "q35",
        .disk_bus = insists_on_sda && has("virtio_scsi") ? "scsi" : "virtio",
        .cpu = facts.system.arch == "i386" || facts.system.arch == "i686"
                   ? "any x86 CPU"
                   : "any x86-64 CPU; host-passthrough where the VM never moves to another host",
        .boot_disk = choice.disk,
        .note = uefi ? "Secure Boot off: the keys that the server's firmware knows are not cloned"
                     : ""};
    for (const NicBinding& nic : nics) {
        vm.nics.push_back(
            {.name = nic.name, .mac = nic.mac, .model = has("virtio_net") ? "virtio" : "e1000"});
    }
    return vm;
}

std::string qemu_command(const VmRequirements& vm, std::span<const std::string> disks) {
    std::string command;
    std::string firmware;
    if (vm.firmware == "uefi" && !disks.empty()) {
        const std::string& disk = disks.front();
        const std::string variables =
            (disk.starts_with("/dev/") ? disk.substr(disk.rfind('/') + 1) : disk) + ".vars.fd";
        command =
            fmt::format("cp -n /usr/share/OVMF/OVMF_VARS_4M.fd {} && ", shell_quoted(variables));
        firmware = fmt::format(
            " -drive if=pflash,format=raw,readonly=on,"
            "file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive {}",
            shell_quoted(fmt::format("if=pflash,format=raw,file={}", option_value(variables))));
    }
    command += fmt::format("qemu-system-x86_64 -machine {},accel=kvm:tcg -cpu max -m 2048{}",
                           vm.machine, firmware);
    if (vm.disk_bus == "scsi") {
        command += " -device virtio-scsi-pci";
    }
    std::size_t number = 0;
    for (const std::string& disk : disks) {
        const std::string drive = shell_quoted(fmt::format(
            "file={},format={}", option_value(disk), disk.starts_with("/dev/") ? "raw" : "qcow2"));
        // The first disk is what a VM starts from unless it is told otherwise.
        const std::string_view order =
            vm.boot_disk != 0 && number == vm.boot_disk ? ",bootindex=0" : "";
        if (vm.disk_bus == "scsi" || !order.empty()) {
            command +=
                fmt::format(" -drive {0},if=none,id=disk{1} -device {2},drive=disk{1}{3}", drive,
                            number, vm.disk_bus == "scsi" ? "scsi-hd" : "virtio-blk-pci", order);
        } else {
            command += fmt::format(" -drive {},if=virtio", drive);
        }
        ++number;
    }
    number = 0;
    for (const VmNic& nic : vm.nics) {
        command +=
            fmt::format(" -netdev user,id=net{0},restrict=on -device {1},netdev=net{0},mac={2}",
                        number++, nic.model == "virtio" ? "virtio-net-pci" : "e1000", nic.mac);
    }
    return command;
}

} // namespace coldspare::fixup
