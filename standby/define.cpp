#include "standby/define.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace coldspare::standby {

namespace {

bool is_local(std::string_view uri) {
    return uri.empty() || uri.starts_with("qemu:///");
}

/// Fixup has tried whether KVM works where the copy lies. libvirt only looks for /dev/kvm, so that
/// it is believed of other machines alone.
bool use_kvm(const StandbyFile& standby, const StandbyCopy& copy, const HypervisorInfo& info,
             std::vector<std::string>& warnings) {
    switch (standby.machine.acceleration) {
    case Acceleration::kvm:
        if (!info.kvm) {
            throw refusal(fmt::format("define a machine with KVM on '{}': it has none", info.host),
                          "say acceleration = \"auto\" in the standby's file");
        }
        return true;
    case Acceleration::tcg:
        return false;
    case Acceleration::automatic:
        break;
    }
    const bool works = info.kvm && (!is_local(standby.machine.uri) || copy.accelerator == "kvm");
    if (!works) {
        warnings.push_back(fmt::format("'{}' has no KVM that works: the machine is emulated, and "
                                       "some ten times slower",
                                       info.host));
    }
    return works;
}

void check_room(const MachineSettings& machine, const HypervisorInfo& info,
                std::vector<std::string>& warnings) {
    if (machine.memory > info.memory) {
        warnings.push_back(fmt::format("the machine wants {} of memory, and '{}' has {}",
                                       format_bytes(machine.memory), info.host,
                                       format_bytes(info.memory)));
    } else if (machine.memory > info.free_memory) {
        warnings.push_back(fmt::format("the machine wants {} of memory, of which '{}' has {} free "
                                       "now",
                                       format_bytes(machine.memory), info.host,
                                       format_bytes(info.free_memory)));
    }
    if (machine.cpus > info.cpus) {
        warnings.push_back(fmt::format("the machine wants {} processors, and '{}' has {}",
                                       machine.cpus, info.host, info.cpus));
    }
}

void check_networks(const MachineSettings& machine, const std::vector<std::string>& networks,
                    const HypervisorInfo& info) {
    std::vector<std::string> missing;
    for (const NicSettings& nic : machine.nics) {
        if (nic.way == NicWay::network &&
            std::ranges::find(networks, nic.network) == networks.end()) {
            missing.push_back(fmt::format("'{}' (of {})", nic.network, nic.name));
        }
    }
    if (missing.empty()) {
        return;
    }
    throw refusal(
        fmt::format(
            "define a machine in networks that '{}' does not have, or that are not active: {}",
            info.host, fmt::join(missing, ", ")),
        machine.uri.empty()
            ? std::string("without a daemon libvirt has no networks: connect the card to a bridge, "
                          "or run libvirtd and say uri = \"qemu:///system\"")
            : fmt::format("they are: {}", networks.empty()
                                              ? "none"
                                              : fmt::format("{}", fmt::join(networks, ", "))));
}

/// The domain, if it may be changed.
std::optional<DomainInfo> own_domain(Hypervisor& hypervisor, const StandbyFile& standby,
                                     std::string_view action) {
    const std::string& domain = standby.machine.domain;
    std::optional<DomainInfo> found = hypervisor.find(domain);
    if (!found) {
        return found;
    }
    const std::string what = fmt::format("{} the domain '{}'", action, domain);
    const std::optional<DomainMark> mark = parse_domain_mark(hypervisor.xml_of(domain));
    if (!mark) {
        throw refusal(what + ": it is there, and no standby's",
                      "choose another 'domain' in the standby's file");
    }
    if (mark->standby != standby.name) {
        throw refusal(
            fmt::format("{}: it is that of the standby '{}'", what, printable(mark->standby)),
            "choose another 'domain' in the standby's file");
    }
    if (mark->kind == "active") {
        throw refusal(what + ": it is in service", "'coldspare failover' takes it out of service");
    }
    if (found->state != DomainState::shut_off && found->state != DomainState::crashed) {
        throw refusal(fmt::format("{}: it is {}", what, word(found->state)), "shut it down first");
    }
    return found;
}

} // namespace

DefinePlan plan_define(const StandbyFile& standby, const StandbyCopy& copy,
                       const HypervisorInfo& info, const std::vector<std::string>& networks,
                       const DefineContext& context) {
    const MachineSettings& machine = standby.machine;
    std::vector<std::string> warnings;
    check_networks(machine, networks, info);
    check_room(machine, info, warnings);
    DefinePlan plan{.input = {.standby = standby,
                              .needs = copy.needs,
                              .disks = copy.disks,
                              .kvm = use_kvm(standby, copy, info, warnings),
                              .version = context.version}};
    if ((machine.firmware.empty() ? copy.needs.firmware : machine.firmware) == "uefi") {
        if (info.firmware_code.empty()) {
            throw refusal(
                fmt::format("define a machine that starts by UEFI: '{}' has none", info.host),
                "install it there: ovmf on Debian and Ubuntu, edk2-ovmf on Fedora and "
                "RHEL");
        }
        plan.input.firmware_code = info.firmware_code;
        plan.input.firmware_variables = info.firmware_variables;
        plan.input.variables_path =
            firmware_variables_of(standby, context.state_directory).string();
    }
    // The embedded driver needs none: 'virsh start' does not see its machines.
    if (machine.uri == "qemu:///system" && !context.guarded) {
        warnings.push_back(fmt::format("nothing keeps 'virsh start {}' from starting it by "
                                       "mistake: coldspare-standby(8), THE GUARD",
                                       machine.domain));
    }
    plan.warnings = std::move(warnings);
    return plan;
}

DefineOutcome define_standby(Hypervisor& hypervisor, const StandbyFile& standby,
                             const StandbyCopy& copy, const DefineContext& context,
                             DefineMode mode) {
    const std::optional<DomainInfo> before = own_domain(hypervisor, standby, "define");
    const DefinePlan plan =
        plan_define(standby, copy, hypervisor.info(), hypervisor.networks(), context);
    DefineOutcome outcome{.xml = domain_xml(plan.input), .warnings = plan.warnings};
    const std::string& domain = standby.machine.domain;
    if (before) {
        outcome.differences = domain_differences(outcome.xml, hypervisor.xml_of(domain));
        if (before->autostart) {
            outcome.differences.emplace_back("it starts with the hypervisor");
        }
        if (outcome.differences.empty()) {
            return outcome;
        }
    }
    outcome.change = before ? DefineChange::changed : DefineChange::made;
    if (mode == DefineMode::look) {
        return outcome;
    }
    hypervisor.define(outcome.xml);
    const std::vector<std::string> left =
        domain_differences(outcome.xml, hypervisor.xml_of(domain));
    if (!left.empty()) {
        throw Error(fmt::format("the hypervisor has defined '{}' otherwise than asked: {}", domain,
                                fmt::join(left, "; ")),
                    "it may be too old for what the standby's file asks for");
    }
    return outcome;
}

StandbyView view_standby(Hypervisor& hypervisor, const StandbyFile& standby,
                         const DefineContext& context) {
    StandbyView view;
    const std::string& domain = standby.machine.domain;
    try {
        view.copy = read_copy(standby, context.state_directory);
    } catch (const Error& error) {
        view.problems.push_back(error.message());
    }
    view.domain = hypervisor.find(domain);
    if (!view.domain) {
        view.problems.push_back(fmt::format("the machine '{}' is not defined", domain));
        return view;
    }
    const std::string xml = hypervisor.xml_of(domain);
    view.mark = parse_domain_mark(xml);
    if (!view.mark || view.mark->standby != standby.name) {
        view.problems.push_back(fmt::format("the domain '{}' is not this standby's", domain));
        return view;
    }
    if (view.domain->autostart) {
        view.problems.push_back("it starts with the hypervisor");
    }
    if (view.copy && view.mark->kind == "cold") {
        try {
            const DefinePlan plan =
                plan_define(standby, *view.copy, hypervisor.info(), hypervisor.networks(), context);
            view.differences = domain_differences(domain_xml(plan.input), xml);
        } catch (const Error& error) {
            view.problems.push_back(error.message());
        }
    }
    return view;
}

bool remove_standby(Hypervisor& hypervisor, const StandbyFile& standby) {
    if (!own_domain(hypervisor, standby, "remove")) {
        return false;
    }
    hypervisor.undefine(standby.machine.domain);
    return true;
}

} // namespace coldspare::standby
