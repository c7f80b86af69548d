#include "fixup/fixes.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

const std::set<std::string> virtio{"virtio_pci", "virtio_blk", "virtio_scsi"};

Facts debian() {
    KernelFacts kernel{.version = "6.1.0-1-amd64",
                       .initrd = "/boot/initrd.img-6.1.0-1-amd64",
                       .initrd_bytes = std::uint64_t{10} << 20,
                       .loadable = virtio,
                       .in_initrd = {"ahci", "ext4"}};
    kernel.loadable.insert("ahci");
    return {.kernels = {kernel},
            .initramfs = {.update_initramfs = true, .mode = "dep", .modules_file = "ext4\n"},
            .boot_free = std::uint64_t{1} << 30,
            .root_free = std::uint64_t{1} << 30};
}

FixPlan plan_for(const Facts& facts, const std::vector<FixPlan>& before = {}) {
    return plan_initramfs({.facts = facts, .wishes = {}, .files = facts.files, .before = before});
}

const FileEdit* edit_of(const FixPlan& plan, const std::string& path) {
    for (const FileEdit& edit : plan.edits) {
        if (edit.path == path) {
            return &edit;
        }
    }
    return nullptr;
}

} // namespace

TEST_CASE("a kernel that was left out is worth a warning") {
    Facts facts = debian();
    facts.left_out = {"6.1.0-1-amd64.bak"};
    CHECK(plan_for(facts).warnings ==
          std::vector<std::string>{"kernel 6.1.0-1-amd64.bak has no /lib/modules/6.1.0-1-amd64.bak "
                                   "and is left out"});
}

TEST_CASE("a host-only initramfs is rebuilt with virtio and keeps what it had") {
    const FixPlan plan = plan_for(debian());
    REQUIRE(plan.outcome == Outcome::planned);
    CHECK(plan.detail ==
          "initramfs of 6.1.0-1-amd64 rebuilt with virtio_blk, virtio_pci, virtio_scsi");
    REQUIRE(plan.commands.size() == 1);
    CHECK(plan.commands[0].line == "update-initramfs -u -k 6.1.0-1-amd64");
    const FileEdit* modules = edit_of(plan, "/etc/initramfs-tools/modules");
    REQUIRE(modules != nullptr);
    CHECK(modules->lifetime == Lifetime::lasting);
    CHECK(modules->after == "ext4\n# coldspare fixup: the disk of the virtual machine\nvirtio_pci\n"
                            "virtio_blk\nvirtio_scsi\n# end of coldspare fixup\n");
    const FileEdit* mode = edit_of(plan, "/etc/initramfs-tools/conf.d/zz-coldspare");
    REQUIRE(mode != nullptr);
    CHECK(mode->after == "COMPRESSLEVEL=1\nMODULES=list\n");
    CHECK(mode->lifetime == Lifetime::during_commands);
    const FileEdit* hook = edit_of(plan, "/etc/initramfs-tools/hooks/zz-coldspare");
    REQUIRE(hook != nullptr);
    CHECK(hook->mode == 0755);
    CHECK(hook->lifetime == Lifetime::during_commands);
    CHECK(hook->after.find("\nmanual_add_modules ahci ext4 virtio_blk virtio_pci virtio_scsi\n") !=
          std::string::npos);
}

TEST_CASE("an initramfs that has the drivers is left alone") {
    Facts facts = debian();
    facts.kernels[0].in_initrd.insert(virtio.begin(), virtio.end());
    CHECK(plan_for(facts).outcome == Outcome::not_needed);
}

TEST_CASE("drivers that are built into the kernel need no initramfs") {
    Facts facts = debian();
    facts.kernels[0].loadable.clear();
    facts.kernels[0].builtin = virtio;
    CHECK(plan_for(facts).outcome == Outcome::not_needed);
    facts.kernels[0].initrd.clear();
    CHECK(plan_for(facts).outcome == Outcome::not_needed);
}

TEST_CASE("edited names are copied into every initramfs again") {
    Facts facts = debian();
    facts.kernels[0].in_initrd.insert(virtio.begin(), virtio.end());
    const std::vector<FixPlan> names{
        {.id = "udev-persistent-net",
         .edits = {{.path = "/x", .after = "y", .reach = Reach::initramfs}}}};
    const FixPlan plan = plan_for(facts, names);
    CHECK(plan.outcome == Outcome::planned);
    CHECK(plan.detail == "initramfs of 6.1.0-1-amd64 rebuilt with the new names");
}

TEST_CASE("MODULES=most needs no list, and its settings stay") {
    Facts facts = debian();
    facts.initramfs.mode = "most";
    facts.kernels[0].in_initrd.insert(virtio.begin(), virtio.end());
    const std::vector<FixPlan> names{
        {.id = "x", .edits = {{.path = "/x", .after = "y", .reach = Reach::initramfs}}}};
    const FixPlan plan = plan_for(facts, names);
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].after == "COMPRESSLEVEL=1\n");
    CHECK(plan.edits[0].lifetime == Lifetime::during_commands);
}

TEST_CASE("an initramfs that cannot be listed is rebuilt with everything") {
    Facts facts = debian();
    facts.kernels[0].in_initrd.clear();
    facts.kernels[0].unreadable = "cpio: premature end";
    const FixPlan plan = plan_for(facts);
    const FileEdit* mode = edit_of(plan, "/etc/initramfs-tools/conf.d/zz-coldspare");
    REQUIRE(mode != nullptr);
    CHECK(mode->after == "COMPRESSLEVEL=1\nMODULES=most\n");
    CHECK(plan.warnings.size() == 1);
}

TEST_CASE("lines that are in the modules file already are not written again") {
    Facts facts = debian();
    facts.initramfs.modules_file = "virtio_pci\n virtio_blk  # disk\n#virtio_scsi";
    const FixPlan plan = plan_for(facts);
    const FileEdit* modules = edit_of(plan, "/etc/initramfs-tools/modules");
    REQUIRE(modules != nullptr);
    CHECK(modules->after == "virtio_pci\n virtio_blk  # disk\n#virtio_scsi\n"
                            "# coldspare fixup: the disk of the virtual machine\nvirtio_scsi\n"
                            "# end of coldspare fixup\n");
}

TEST_CASE("a newest kernel without virtio cannot be fixed, an older one is only mentioned") {
    Facts facts = debian();
    KernelFacts old{.version = "2.6.18-6-686", .initrd = "/boot/initrd.img-2.6.18-6-686"};
    facts.kernels.push_back(old);
    const FixPlan mentioned = plan_for(facts);
    CHECK(mentioned.outcome == Outcome::planned);
    REQUIRE(mentioned.warnings.size() == 1);
    CHECK(mentioned.warnings[0] ==
          "kernel 2.6.18-6-686 has no virtio drivers: the VM cannot boot it");
    facts.kernels = {old};
    const FixPlan plan = plan_for(facts);
    CHECK(plan.outcome == Outcome::cannot);
    CHECK(plan.detail == "kernel 2.6.18-6-686 has no virtio drivers");
    CHECK(plan.hint.find("SATA") != std::string::npos);
    CHECK(plan.hint.find("e1000") != std::string::npos);
}

TEST_CASE("too little room is found before anything is changed, with both numbers") {
    Facts facts = debian();
    facts.boot_free = std::uint64_t{20} << 20;
    const FixPlan plan = plan_for(facts);
    CHECK(plan.outcome == Outcome::cannot);
    CHECK(plan.detail == "/boot has 20.0 MiB free, and a new initramfs needs 28.5 MiB");
    CHECK(plan.edits.empty());
}

TEST_CASE("dracut, no kernel and no initramfs are said by name") {
    Facts facts = debian();
    facts.initramfs.update_initramfs = false;
    facts.initramfs.dracut = true;
    CHECK(plan_for(facts).detail ==
          "the initramfs is built by dracut, which this version does not drive");
    facts.kernels[0].initrd.clear();
    CHECK(plan_for(facts).detail == "kernel 6.1.0-1-amd64 has no initramfs in /boot");
    facts.kernels.clear();
    CHECK(plan_for(facts).detail == "there is no kernel (vmlinuz-*) in /boot");
}
