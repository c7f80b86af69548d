#include "fixup/vm_requirements.hpp"

#include "fixup/boot_choice.hpp"
#include "fixup/disk_attachment.hpp"
#include "fixup/guest_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

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

bool is_x86(const std::string& arch) {
    return arch.empty() || arch == "x86_64" || (arch.starts_with('i') && arch.ends_with("86"));
}

/// The chipset of q35 has AHCI in place of IDE.
std::string machine_for(const std::string& arch, const KernelFacts& kernel,
                        const DiskAttachment& disk) {
    if (!is_x86(arch)) {
        return "virt";
    }
    const bool old = older_version(kernel.version, first_q35_kernel);
    return disk.bus == "ide" || (old && disk.bus != "sata") ? "pc" : "q35";
}

/// The first number of a product's name: "Red Hat Enterprise Linux 9.3 (Plow)" is 9.
unsigned major_version(std::string_view product) {
    unsigned number = 0;
    const std::size_t begin = product.find_first_of("0123456789");
    for (std::size_t i = begin;
         i < product.size() && product[i] >= '0' && product[i] <= '9' && number < 1000; ++i) {
        number = number * 10 + static_cast<unsigned>(product[i] - '0');
    }
    return number;
}

std::string cpu_for(const GuestSystem& system) {
    if (!is_x86(system.arch)) {
        return fmt::format("a CPU of {}: this host only emulates it", system.arch);
    }
    if (system.arch.starts_with('i')) {
        return "any x86 CPU";
    }
    constexpr std::array<std::string_view, 6> red_hats{"rhel",  "centos",      "almalinux",
                                                       "rocky", "oraclelinux", "redhat-based"};
    const unsigned version = major_version(system.product);
    if (std::ranges::find(red_hats, system.distro) != red_hats.end() && version >= 9) {
        return fmt::format("x86-64-{} or later: no qemu64 or kvm64; host-passthrough where the VM "
                           "never moves to another host",
                           version >= 10 ? "v3 (Haswell)" : "v2 (Nehalem)");
    }
    return "any x86-64 CPU; host-passthrough where the VM never moves to another host";
}

/// The best card that the kernel has a driver of.
std::string card_for(const KernelFacts& kernel) {
    constexpr std::array<std::pair<const char*, const char*>, 5> cards{{{"virtio_net", "virtio"},
                                                                        {"e1000", "e1000"},
                                                                        {"8139cp", "rtl8139"},
                                                                        {"8139too", "rtl8139"},
                                                                        {"pcnet32", "pcnet"}}};
    for (const auto& [module, card] : cards) {
        if (kernel.builtin.contains(module) || kernel.loadable.contains(module)) {
            return card;
        }
    }
    return "e1000";
}

/// qemu's arguments for the disks and for what they hang on. The IDE of qemu's q35 is AHCI.
std::string disk_arguments(const VmRequirements& vm, std::span<const std::string> disks) {
    std::string controller;
    std::string device;
    if (vm.disk_bus == "scsi") {
        controller = vm.disk_model == "lsilogic"     ? " -device lsi53c895a"
                     : vm.disk_model == "lsisas1068" ? " -device mptsas1068"
                                                     : " -device virtio-scsi-pci";
        device = "scsi-hd,drive=disk{0}";
    } else if (vm.disk_bus == "sata" && vm.machine == "pc") {
        controller = " -device ahci,id=ahci0";
        device = "ide-hd,bus=ahci0.{0},drive=disk{0}";
    }
    const std::string plain =
        vm.disk_bus == "virtio" ? "virtio-blk-pci,drive=disk{0}" : "ide-hd,drive=disk{0}";
    std::string arguments = controller;
    std::size_t number = 0;
    for (const std::string& disk : disks) {
        const std::string drive = shell_quoted(fmt::format(
            "file={},format={}", option_value(disk), disk.starts_with("/dev/") ? "raw" : "qcow2"));
        // The first disk is what a VM starts from unless it is told otherwise.
        const bool is_told = vm.boot_disk != 0 && number == vm.boot_disk;
        const std::string own = is_told && device.empty() ? plain : device;
        arguments += own.empty() ? fmt::format(" -drive {},if={}", drive,
                                               vm.disk_bus == "virtio" ? "virtio" : "ide")
                                 : fmt::format(" -drive {},if=none,id=disk{} -device {}{}", drive,
                                               number, fmt::format(fmt::runtime(own), number),
                                               is_told ? ",bootindex=0" : "");
        ++number;
    }
    return arguments;
}

/// UEFI keeps its boot entries in a file of the VM's own, which is made the first time.
struct FirmwareArguments {
    std::string before;
    std::string options;
};

FirmwareArguments firmware_arguments(const VmRequirements& vm, std::span<const std::string> disks) {
    if (vm.firmware != "uefi" || disks.empty()) {
        return {};
    }
    const std::string& disk = disks.front();
    const std::string variables =
        (disk.starts_with("/dev/") ? disk.substr(disk.rfind('/') + 1) : disk) + ".vars.fd";
    return {.before = fmt::format("cp -n /usr/share/OVMF/OVMF_VARS_4M.fd {} && ",
                                  shell_quoted(variables)),
            .options = fmt::format(" -drive if=pflash,format=raw,readonly=on,"
                                   "file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive {}",
                                   shell_quoted(fmt::format("if=pflash,format=raw,file={}",
                                                            option_value(variables))))};
}

std::string card_device(const std::string& model) {
    return model == "virtio" ? "virtio-net-pci" : model;
}

} // namespace

VmRequirements vm_requirements(const Facts& facts, std::span<const NicBinding> nics) {
    const KernelFacts none;
    const KernelFacts& kernel = facts.kernels.empty() ? none : facts.kernels.front();
    const DiskAttachment disk = disk_attachment(facts, facts.files);
    const BootChoice choice = boot_choice(facts);
    const bool uefi = choice.loader == Loader::uefi;
    VmRequirements vm{.firmware = uefi ? "uefi" : "bios",
                      .machine = machine_for(facts.system.arch, kernel, disk),
                      .disk_bus = disk.bus.empty() ? "ide" : disk.bus,
                      .disk_model = disk.model,
                      .cpu = cpu_for(facts.system),
                      .boot_disk = choice.disk,
                      .note = uefi ? "Secure Boot off: the keys that the server's firmware knows "
                                     "are not cloned"
                                   : ""};
    for (const NicBinding& nic : nics) {
        vm.nics.push_back({.name = nic.name, .mac = nic.mac, .model = card_for(kernel)});
    }
    return vm;
}

std::string qemu_command(const VmRequirements& vm, std::span<const std::string> disks) {
    const FirmwareArguments firmware = firmware_arguments(vm, disks);
    std::string command =
        fmt::format("{}qemu-system-x86_64 -machine {},accel=kvm:tcg -cpu max -m 2048{}",
                    firmware.before, vm.machine, firmware.options);
    command += disk_arguments(vm, disks);
    std::size_t number = 0;
    for (const VmNic& nic : vm.nics) {
        command +=
            fmt::format(" -netdev user,id=net{0},restrict=on -device {1},netdev=net{0},mac={2}",
                        number++, card_device(nic.model), nic.mac);
    }
    return command;
}

} // namespace coldspare::fixup
