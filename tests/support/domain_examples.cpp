#include "tests/support/domain_examples.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::standby {

namespace {

constexpr std::uint64_t gib = std::uint64_t{1} << 30;

DomainExample example(std::string name) {
    return {.name = std::move(name), .standby = mail01(), .needs = modern_needs()};
}

DomainExample on_bus(std::string name, const std::string& bus, const std::string& model,
                     const std::string& machine) {
    DomainExample result = example(std::move(name));
    result.needs.disk_bus = bus;
    result.needs.disk_model = model;
    result.needs.machine = machine;
    return result;
}

DomainExample etch() {
    DomainExample result = on_bus("ide", "ide", "", "pc");
    result.needs.nics.front().model = "pcnet";
    result.needs.boot_disk = 1;
    result.with_drill = true;
    return result;
}

DomainExample with_all_kinds_of_cards() {
    DomainExample result = example("cards");
    result.standby.machine.nics = {
        {.name = "eth0", .mac = "52:54:00:12:34:56", .way = NicWay::network, .network = "lan"},
        {.name = "eth1", .mac = "52:54:00:12:34:57", .way = NicWay::bridge, .network = "br-dmz"},
        {.name = "eth2", .mac = "52:54:00:12:34:58", .way = NicWay::user, .model = "e1000e"},
        {.name = "eth3", .mac = "52:54:00:12:34:59", .way = NicWay::none, .model = "rtl8139"}};
    result.with_drill = true;
    return result;
}

DomainExample with_many_disks(std::string name, const std::string& bus, const std::string& model) {
    DomainExample result = on_bus(std::move(name), bus, model, "q35");
    for (std::size_t i = result.standby.machine.disks.size(); i < 18; ++i) {
        result.standby.machine.disks.push_back(
            {.source = fmt::format("disk-{}", i), .image = fmt::format("/srv/mail01/{}", i)});
    }
    return result;
}

const std::string& pick(Dice& dice, const std::vector<std::string>& words) {
    return words[dice.below(words.size())];
}

/// What administrators call things, and what somebody might try.
std::string random_name(Dice& dice) {
    static const std::vector<std::string> pieces{
        "mail", "standby", "01", " ", "-", "&",    "<",    ">", "\"", "'",  "]]>",   "&amp;",
        "<!--", "%s",      "{}", "ü", "ß", "日本", "🙂", ",", ",,", "\\", "$(id)", "\u00a0"};
    std::string name = "m";
    for (std::size_t count = dice.below(8); count > 0; --count) {
        name += pick(dice, pieces);
    }
    return name;
}

std::string random_mac(Dice& dice) {
    return fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", dice.below(256), dice.below(256),
                       dice.below(256));
}

NicSettings random_nic(Dice& dice, std::size_t number) {
    constexpr std::array<NicWay, 4> ways{NicWay::network, NicWay::bridge, NicWay::user,
                                         NicWay::none};
    NicSettings nic{.name = fmt::format("eth{}", number),
                    .mac = random_mac(dice),
                    .way = ways[dice.below(ways.size())],
                    .model = pick(dice, {"", "virtio", "e1000", "e1000e", "rtl8139", "pcnet"})};
    if (nic.way == NicWay::network) {
        nic.network = random_name(dice);
    } else if (nic.way == NicWay::bridge) {
        nic.network = fmt::format("br{}", dice.below(100));
    }
    return nic;
}

fixup::VmRequirements random_needs(Dice& dice) {
    fixup::VmRequirements needs{
        .firmware = pick(dice, {"bios", "uefi", ""}),
        .machine = pick(dice, {"q35", "pc", "virt", ""}),
        .disk_bus = pick(dice, {"virtio", "scsi", "sata", "ide", ""}),
        .disk_model = pick(dice, {"", "virtio-scsi", "lsilogic", "lsisas1068"}),
        .cpu = pick(dice, {"any x86-64 CPU", "x86-64-v2 (Nehalem) or later", ""}),
        .boot_disk = static_cast<unsigned>(dice.below(3))};
    for (std::size_t i = dice.below(3); i > 0; --i) {
        needs.nics.push_back({.name = fmt::format("eth{}", i - 1),
                              .model = pick(dice, {"virtio", "e1000", "rtl8139", "pcnet", "a b"})});
    }
    return needs;
}

} // namespace

StandbyFile mail01() {
    return {.name = "mail01",
            .source = {.host = "mail01.example.lan", .connect = "mail01.example.lan:10000"},
            .machine = {.domain = "mail01-standby",
                        .cpus = 2,
                        .memory = 4 * gib,
                        .disks = {{.source = "sda", .image = "/srv/coldspare/mail01/sda"},
                                  {.source = "sdb", .image = "/srv/coldspare/mail01/sdb"}},
                        .nics = {{.name = "eth0",
                                  .mac = "52:54:00:12:34:56",
                                  .way = NicWay::network,
                                  .network = "lan"}}}};
}

fixup::VmRequirements modern_needs() {
    return {.firmware = "bios",
            .machine = "q35",
            .disk_bus = "virtio",
            .nics = {{.name = "eth0", .mac = "52:54:00:12:34:56", .model = "virtio"}},
            .cpu = "any x86-64 CPU; host-passthrough where the VM never moves to another host"};
}

DomainInput input_of(const StandbyFile& standby) {
    DomainInput input{.standby = standby,
                      .needs = modern_needs(),
                      .kvm = true,
                      .firmware_code = "/usr/share/OVMF/OVMF_CODE_4M.fd",
                      .firmware_variables = "/usr/share/OVMF/OVMF_VARS_4M.fd",
                      .variables_path = "/var/lib/coldspare/mail01/variables.fd",
                      .version = "0.1.0"};
    for (const DiskSettings& disk : standby.machine.disks) {
        const bool device = disk.image.starts_with("/dev/");
        input.disks.push_back({.path = device ? disk.image : disk.image + ".qcow2",
                               .device = device,
                               .format = device ? "raw" : "qcow2"});
    }
    return input;
}

DrillInput drill_of(const DomainInput& input) {
    const std::string run = "/var/lib/coldspare/mail01/drill";
    DrillInput drill{.domain = input.standby.machine.domain + "-drill",
                     .uuid = drill_uuid(input.standby),
                     .variables_path = run + "/variables.fd",
                     .console_log = run + "/console.log",
                     .console_socket = run + "/console",
                     .agent_socket = run + "/agent"};
    for (std::size_t i = 0; i < input.disks.size(); ++i) {
        drill.overlays.push_back(fmt::format("{}/disk{}.qcow2", run, i));
    }
    return drill;
}

DomainInput DomainExample::input() const {
    DomainInput result = input_of(standby);
    result.needs = needs;
    result.kvm = kvm;
    return result;
}

std::vector<DomainExample> domain_examples() {
    std::vector<DomainExample> list;
    list.push_back(example("bios"));
    list.back().with_drill = true;
    list.push_back(example("bios-kvm"));
    list.back().kvm = true;
    list.push_back(example("uefi"));
    list.back().needs.firmware = "uefi";
    list.back().needs.cpu = "x86-64-v2 (Nehalem) or later: no qemu64 or kvm64";
    list.back().with_drill = true;
    list.push_back(on_bus("scsi", "scsi", "virtio-scsi", "q35"));
    list.push_back(on_bus("lsilogic", "scsi", "lsilogic", "pc"));
    list.push_back(on_bus("lsisas1068", "scsi", "lsisas1068", "q35"));
    list.push_back(on_bus("sata-q35", "sata", "", "q35"));
    list.push_back(on_bus("sata-pc", "sata", "", "pc"));
    list.push_back(etch());
    list.push_back(with_all_kinds_of_cards());
    list.push_back(with_many_disks("many-virtio", "virtio", ""));
    list.push_back(with_many_disks("many-sata", "sata", ""));
    list.push_back(with_many_disks("many-lsilogic", "scsi", "lsilogic"));
    list.push_back(example("devices"));
    list.back().standby.machine.disks.front().image = "/dev/vg0/mail01";
    list.back().with_drill = true;
    list.push_back(example("lease"));
    list.back().standby.machine.lease = true;
    return list;
}

std::size_t Dice::below(std::size_t limit) {
    // xorshift64*, which is the same everywhere; std's distributions are not.
    state_ ^= state_ >> 12U;
    state_ ^= state_ << 25U;
    state_ ^= state_ >> 27U;
    return static_cast<std::size_t>((state_ * 0x2545f4914f6cdd1dULL) >> 33U) %
           std::max<std::size_t>(limit, 1);
}

DomainExample random_example(Dice& dice) {
    DomainExample result{.name = "random", .needs = random_needs(dice), .kvm = dice.below(2) == 0};
    StandbyFile& standby = result.standby;
    standby.name = pick(dice, {"mail01", "a", "Mail_2.x-y", std::string(64, 'z')});
    standby.source.host = dice.below(4) == 0 ? "" : random_name(dice);
    MachineSettings& machine = standby.machine;
    machine.domain = random_name(dice);
    machine.cpus = static_cast<unsigned>(1 + dice.below(64));
    machine.memory = gib / 4 + dice.below(1U << 30U) * 129;
    machine.firmware = pick(dice, {"", "bios", "uefi"});
    machine.disk_bus = pick(dice, {"", "", "virtio", "scsi", "sata", "ide"});
    machine.lease = dice.below(4) == 0;
    for (std::size_t i = 1 + dice.below(4); i > 0; --i) {
        machine.disks.push_back(
            {.source = dice.below(2) == 0 ? random_name(dice) : fmt::format("sd{}", i),
             .image = fmt::format("{}{}{}", dice.below(3) == 0 ? "/dev/" : "/srv/",
                                  random_name(dice), i)});
    }
    for (std::size_t i = dice.below(14); i > 0; --i) {
        machine.nics.push_back(random_nic(dice, i));
    }
    return result;
}

} // namespace coldspare::standby
