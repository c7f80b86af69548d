#include "standby/define.hpp"

#include "tests/support/memory_hypervisor.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

namespace coldspare::standby {

namespace {

constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;

/// A standby in the network "office", and its copy.
struct Bench {
    MemoryHypervisor hypervisor;
    StandbyFile file{
        .name = "mail1",
        .machine = {.uri = "qemu:///system",
                    .domain = "mail1-standby",
                    .cpus = 2,
                    .memory = gibibyte,
                    .disks = {{.source = "sda", .image = "/srv/mail1.img"}},
                    .nics = {{.name = "eth0",
                              .mac = "52:54:00:12:34:56",
                              .way = NicWay::network,
                              .network = "office"}}},
    };
    StandbyCopy copy{.disks = {{.path = "/srv/mail1.img.fixup.qcow2", .format = "qcow2"}},
                     .clones = {"mail1.img"},
                     .needs = {.firmware = "bios", .machine = "q35", .disk_bus = "virtio"},
                     .accelerator = "tcg"};
    DefineContext context{.state_directory = "/state", .version = "0.1.0", .guarded = true};

    Bench() { hypervisor.nets["office"] = "<network/>"; }

    DefineOutcome define(DefineMode mode = DefineMode::act) {
        return define_standby(hypervisor, file, copy, context, mode);
    }
    Error complaint() {
        return thrown_by([this] { static_cast<void>(define()); });
    }
    [[nodiscard]] DefinePlan plan() const {
        return plan_define(file, copy, hypervisor.about, {"office"}, context);
    }
};

} // namespace

TEST_CASE("a standby is defined once, and switched off") {
    Bench bench;
    CHECK(bench.define().change == DefineChange::made);
    const DomainInfo domain = bench.hypervisor.find("mail1-standby").value();
    CHECK(domain.state == DomainState::shut_off);
    CHECK_FALSE(domain.autostart);
    CHECK(parse_domain_mark(bench.hypervisor.xml_of("mail1-standby")) ==
          DomainMark{.standby = "mail1", .kind = "cold"});
    CHECK(bench.define().change == DefineChange::none);
    CHECK(bench.hypervisor.log == std::vector<std::string>{"define mail1-standby"});
}

TEST_CASE("what the file says otherwise is changed in place") {
    Bench bench;
    const std::string uuid = (bench.define(), bench.hypervisor.find("mail1-standby")->uuid);
    bench.file.machine.memory = 2 * gibibyte;
    const DefineOutcome planned = bench.define(DefineMode::look);
    CHECK(planned.change == DefineChange::changed);
    CHECK_FALSE(planned.differences.empty());
    CHECK(bench.hypervisor.log.size() == 1);
    CHECK(bench.define().change == DefineChange::changed);
    CHECK(bench.hypervisor.find("mail1-standby")->uuid == uuid);
    CHECK(bench.define().change == DefineChange::none);
}

TEST_CASE("a domain that starts with its hypervisor is defined again") {
    Bench bench;
    static_cast<void>(bench.define());
    bench.hypervisor.all["mail1-standby"].info.autostart = true;
    CHECK(bench.define().change == DefineChange::changed);
    CHECK_FALSE(bench.hypervisor.find("mail1-standby")->autostart);
}

TEST_CASE("a plan defines nothing") {
    Bench bench;
    CHECK(bench.define(DefineMode::look).change == DefineChange::made);
    CHECK(bench.hypervisor.all.empty());
}

TEST_CASE("somebody else's domain is not touched") {
    Bench bench;
    bench.hypervisor.define("<domain><name>mail1-standby</name><uuid>1</uuid></domain>");
    CHECK(bench.complaint().message() ==
          "refusing to define the domain 'mail1-standby': it is there, and no standby's");
    CHECK(bench.complaint().status() == ExitStatus::refused);
    CHECK_THROWS_AS(remove_standby(bench.hypervisor, bench.file), Error);

    Bench other;
    static_cast<void>(other.define());
    other.file.name = "mail2";
    CHECK(other.complaint().message() == "refusing to define the domain 'mail1-standby': it is "
                                         "that of the standby 'mail1'");
}

TEST_CASE("a machine that runs or is in service is not changed or removed") {
    Bench bench;
    static_cast<void>(bench.define());
    bench.hypervisor.start("mail1-standby");
    bench.file.machine.cpus = 1;
    CHECK(bench.complaint().message() ==
          "refusing to define the domain 'mail1-standby': it is running");
    CHECK(thrown_by([&] { remove_standby(bench.hypervisor, bench.file); }).message() ==
          "refusing to remove the domain 'mail1-standby': it is running");
    bench.hypervisor.destroy("mail1-standby");
    bench.hypervisor.set_metadata("mail1-standby", R"(<domain standby="mail1" kind="active"/>)",
                                  std::string(metadata_namespace));
    CHECK(bench.complaint().message() ==
          "refusing to define the domain 'mail1-standby': it is in service");
}

TEST_CASE("a network that is not there is a refusal that names it") {
    Bench bench;
    bench.hypervisor.nets.clear();
    CHECK(bench.complaint().message() ==
          "refusing to define a machine in networks that 'memory' does not have, or that are not "
          "active: 'office' (of eth0)");
    CHECK(bench.complaint().hint() == "they are: none");
    bench.file.machine.uri.clear();
    CHECK(bench.complaint().hint() ==
          "without a daemon libvirt has no networks: connect the card to a bridge, or run libvirtd "
          "and say uri = \"qemu:///system\"");
    bench.file.machine.nics[0].way = NicWay::none;
    CHECK(bench.define().change == DefineChange::made);
}

TEST_CASE("UEFI comes with the hypervisor's firmware, or not at all") {
    Bench bench;
    CHECK(bench.plan().input.firmware_code.empty());
    bench.copy.needs.firmware = "uefi";
    const DefinePlan plan = bench.plan();
    CHECK(plan.input.firmware_code == "/firmware/CODE.fd");
    CHECK(plan.input.firmware_variables == "/firmware/VARS.fd");
    CHECK(plan.input.variables_path == "/srv/mail1.img.vars.fd");
    bench.hypervisor.about.firmware_code.clear();
    CHECK(bench.complaint().message() ==
          "refusing to define a machine that starts by UEFI: 'memory' has none");
    bench.file.machine.firmware = "bios";
    CHECK(bench.plan().input.firmware_code.empty());
}

TEST_CASE("KVM is used where it was tried, or where nobody here can try it") {
    Bench bench;
    CHECK_FALSE(bench.plan().input.kvm);
    bench.hypervisor.about.kvm = true;
    CHECK_FALSE(bench.plan().input.kvm); // fixup has found out that it does not work
    bench.file.machine.uri = "qemu+ssh://other/system";
    CHECK(bench.plan().input.kvm);
    bench.file.machine.uri = "qemu:///system";
    bench.copy.accelerator = "kvm";
    CHECK(bench.plan().input.kvm);
    bench.file.machine.acceleration = Acceleration::tcg;
    CHECK_FALSE(bench.plan().input.kvm);
    bench.file.machine.acceleration = Acceleration::kvm;
    bench.hypervisor.about.kvm = false;
    CHECK(bench.complaint().message() ==
          "refusing to define a machine with KVM on 'memory': it has none");
}

TEST_CASE("what is scarce, and a guard that is missing, are warnings") {
    Bench bench;
    bench.file.machine.acceleration = Acceleration::tcg;
    CHECK(bench.plan().warnings.empty());
    bench.file.machine.memory = 6 * gibibyte;
    bench.file.machine.cpus = 4;
    bench.context.guarded = false;
    CHECK(bench.plan().warnings ==
          std::vector<std::string>{
              "the machine wants 6.0 GiB of memory, of which 'memory' has 4.0 GiB free now",
              "the machine wants 4 processors, and 'memory' has 2",
              "nothing keeps 'virsh start mail1-standby' from starting it by mistake: "
              "coldspare-standby(8), THE GUARD"});
    bench.file.machine.memory = 16 * gibibyte;
    CHECK(bench.plan().warnings.front() ==
          "the machine wants 16.0 GiB of memory, and 'memory' has 8.0 GiB");
    bench.file.machine.uri.clear();
    CHECK(bench.plan().warnings.size() == 2);
}

TEST_CASE("a view tells what is there and what is not") {
    Bench bench;
    StandbyView view = view_standby(bench.hypervisor, bench.file, bench.context);
    CHECK_FALSE(view.copy);
    CHECK_FALSE(view.domain);
    CHECK(view.problems ==
          std::vector<std::string>{"there is no copy of the server's disk in '/srv/mail1.img'",
                                   "the machine 'mail1-standby' is not defined"});
    static_cast<void>(bench.define());
    view = view_standby(bench.hypervisor, bench.file, bench.context);
    CHECK(view.domain->state == DomainState::shut_off);
    CHECK(view.mark->kind == "cold");
    CHECK(view.problems.size() == 1);
    bench.file.name = "mail2";
    view = view_standby(bench.hypervisor, bench.file, bench.context);
    CHECK(view.problems.back() == "the domain 'mail1-standby' is not this standby's");
}

TEST_CASE("removing takes the definition away, once") {
    Bench bench;
    CHECK_FALSE(remove_standby(bench.hypervisor, bench.file));
    static_cast<void>(bench.define());
    CHECK(remove_standby(bench.hypervisor, bench.file));
    CHECK(bench.hypervisor.all.empty());
}

} // namespace coldspare::standby
