#include "fixup/fixes.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

const std::set<std::string> virtio{"virtio_pci", "virtio_blk", "virtio_scsi"};

void put(Facts& facts, const std::string& path, const std::string& text) {
    facts.files.put(path, {.status = {.kind = FileKind::file, .size = text.size()},
                           .content = text,
                           .readable = true});
}

Facts debian() {
    KernelFacts kernel{.version = "6.1.0-1-amd64",
                       .initrd = "/boot/initrd.img-6.1.0-1-amd64",
                       .initrd_bytes = std::uint64_t{10} << 20,
                       .loadable = virtio,
                       .in_initrd = {"ahci", "ext4"}};
    kernel.loadable.insert({"ahci", "ext4"});
    Facts facts{.kernels = {kernel},
                .initramfs = {.builder = InitramfsBuilder::initramfs_tools, .mode = "dep"},
                .boot_free = std::uint64_t{1} << 30,
                .root_free = std::uint64_t{1} << 30};
    put(facts, "/etc/initramfs-tools/modules", "ext4\n");
    return facts;
}

/// The same kernel on a system with another program.
Facts built_by(InitramfsBuilder builder) {
    Facts facts = debian();
    facts.kernels[0].image = "/boot/vmlinuz-6.1.0-1-amd64";
    facts.kernels[0].modules = {{"ahci", {"kernel/ahci.ko", {}}},
                                {"virtio_pci", {"kernel/virtio-pci.ko", {}}}};
    facts.initramfs.builder = builder;
    return facts;
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
    put(facts, "/etc/initramfs-tools/modules", "virtio_pci\n virtio_blk  # disk\n#virtio_scsi");
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
    CHECK(plan.detail == "kernel 2.6.18-6-686 has no driver of a disk that a virtual machine has");
    CHECK(plan.hint == "install a kernel with virtio drivers on the server and clone again");
}

TEST_CASE("too little room is found before anything is changed, with both numbers") {
    Facts facts = debian();
    facts.boot_free = std::uint64_t{20} << 20;
    const FixPlan plan = plan_for(facts);
    CHECK(plan.outcome == Outcome::cannot);
    CHECK(plan.detail == "/boot has 20.0 MiB free, and a new initramfs needs 28.5 MiB");
    CHECK(plan.edits.empty());
}

TEST_CASE("no kernel, no initramfs and no program are said by name") {
    Facts facts = debian();
    facts.initramfs.builder = InitramfsBuilder::none;
    facts.kernels[0].unreadable = "it is empty";
    CHECK(plan_for(facts).detail ==
          "the initramfs of 6.1.0-1-amd64 must be another, there is no program that builds one, "
          "and nothing can be appended: '/boot/initrd.img-6.1.0-1-amd64' cannot be read: it is "
          "empty");
    facts.kernels[0].initrd.clear();
    CHECK(plan_for(facts).detail == "kernel 6.1.0-1-amd64 has no initramfs in /boot");
    facts.kernels.clear();
    CHECK(plan_for(facts).detail == "there is no kernel (vmlinuz-*) in /boot");
}

TEST_CASE("dracut gets the old modules by name, and what the old image knew of the storage") {
    Facts facts = built_by(InitramfsBuilder::dracut);
    facts.kernels[0].content = InitramfsImage{};
    facts.kernels[0].content->listing.texts = {
        {"usr/lib/dracut/modules.txt", "bash\nlvm\nmultipath\n"},
        {"etc/cmdline.d/90lvm.conf", " rd.lvm.lv=vg/root root=/dev/vg/root rd.x=$(reboot)\n"}};
    const FixPlan plan = plan_for(facts);
    REQUIRE(plan.commands.size() == 1);
    CHECK(plan.commands[0].line ==
          "dracut --force --add-drivers 'virtio_pci virtio_blk virtio_scsi ahci ext4' "
          "/boot/initrd.img-6.1.0-1-amd64 6.1.0-1-amd64");
    REQUIRE(plan.edits.size() == 2);
    CHECK(plan.edits[0].path == "/etc/dracut.conf.d/90-coldspare.conf");
    CHECK(plan.edits[0].lifetime == Lifetime::lasting);
    CHECK(plan.edits[0].after == "# coldspare fixup: the disk of the virtual machine\n"
                                 "add_drivers+=\" virtio_pci virtio_blk virtio_scsi \"\n");
    CHECK(plan.edits[1].lifetime == Lifetime::during_commands);
    CHECK(plan.edits[1].after == "hostonly_cmdline=\"no\"\nadd_dracutmodules+=\" lvm \"\n"
                                 "kernel_cmdline+=\" rd.lvm.lv=vg/root \"\n");
    facts.kernels[0].in_initrd.clear();
    CHECK(plan_for(facts).edits[1].after.find("hostonly=\"no\"\n") != std::string::npos);
}

TEST_CASE("SUSE's mkinitrd gets names relative to /boot, and its list of modules grows") {
    Facts facts = built_by(InitramfsBuilder::suse_mkinitrd);
    put(facts, "/etc/sysconfig/kernel", "# list\nINITRD_MODULES=\"ahci virtio-pci\"\nX=\"1\"");
    facts.system.volumes = {{.device = "/dev/vg/root", .mount_point = "/"}};
    const FixPlan plan = plan_for(facts);
    REQUIRE(plan.commands.size() == 1);
    CHECK(plan.commands[0].line ==
          "mkinitrd -k vmlinuz-6.1.0-1-amd64 -i initrd.img-6.1.0-1-amd64 -m 'virtio-pci "
          "virtio_blk virtio_scsi ahci ext4' -d '/dev/vg/root'");
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].after ==
          "# list\nINITRD_MODULES=\"ahci virtio-pci virtio_blk virtio_scsi\"\nX=\"1\"");
}

TEST_CASE("Red Hat's mkinitrd gets each module, and adapters beside those that are there") {
    Facts facts = built_by(InitramfsBuilder::redhat_mkinitrd);
    facts.initramfs.personality = "linux32 ";
    put(facts, "/etc/modprobe.conf",
        "alias eth0 e1000e\nalias scsi_hostadapter ahci\nalias scsi_hostadapter1 virtio_blk");
    const FixPlan plan = plan_for(facts);
    REQUIRE(plan.commands.size() == 1);
    CHECK(plan.commands[0].line ==
          "linux32 mkinitrd -f --with=virtio-pci --with=virtio_blk --with=virtio_scsi "
          "--with=ahci --with=ext4 /boot/initrd.img-6.1.0-1-amd64 6.1.0-1-amd64");
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].after ==
          "alias eth0 e1000e\nalias scsi_hostadapter ahci\nalias scsi_hostadapter1 virtio_blk\n"
          "alias scsi_hostadapter2 virtio-pci\nalias scsi_hostadapter3 virtio_scsi\n");
}

TEST_CASE("only the kernel that starts by default must end with an initramfs") {
    Facts facts = debian();
    facts.kernels.push_back(facts.kernels[0]);
    facts.kernels[1].version = "6.1.0-0-amd64";
    const FixPlan plan = plan_for(facts);
    REQUIRE(plan.commands.size() == 2);
    CHECK(plan.commands[0].need == Need::mandatory);
    CHECK(plan.commands[1].need == Need::best_effort);
}

TEST_CASE("an archive is appended at a multiple of four, with directories that are missing") {
    Facts facts = debian();
    KernelFacts& kernel = facts.kernels[0];
    facts.initramfs.builder = InitramfsBuilder::none;
    kernel.initrd_bytes = 1001;
    kernel.content = InitramfsImage{.packing = Packing::zstd};
    const std::string directory = "usr/lib/modules/6.1.0-1-amd64";
    kernel.content->listing.members = {{"lib", 0120777},     {"usr", 0040755},
                                       {"usr/lib", 0040755}, {"usr/lib/modules", 0040755},
                                       {directory, 0040755}, {directory + "/modules.dep", 0100644},
                                       {"etc", 0040755}};
    for (const std::string& driver : virtio) {
        kernel.modules[driver] = {"kernel/" + driver + ".ko.xz", {}};
        kernel.module_files["kernel/" + driver + ".ko.xz"] = driver;
    }
    kernel.module_files["modules.dep"] = "all";
    const std::vector<FixPlan> names{
        {.id = "x",
         .edits = {
             {.path = "/etc/udev/rules.d/70-x.rules", .after = "r", .reach = Reach::initramfs},
             {.path = "/etc/crypttab", .after = "c", .reach = Reach::initramfs}}}};
    const FixPlan plan = plan_for(facts, names);
    REQUIRE(plan.outcome == Outcome::planned);
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].kind == EditKind::append);
    CHECK(plan.edits[0].before_size == 1001);
    const std::string& bytes = plan.edits[0].after;
    const std::size_t begin = bytes.find("070701");
    CHECK((1001 + begin) % 4 == 0);
    CHECK(begin >= 4);
    std::vector<std::string> listed;
    for (const auto& [name, mode] : read_initramfs(bytes).listing.members) {
        listed.push_back(name);
    }
    CHECK(listed == std::vector<std::string>{
                        "etc/udev", "etc/udev/rules.d", "etc/udev/rules.d/70-x.rules",
                        directory + "/kernel", directory + "/kernel/virtio_blk.ko.xz",
                        directory + "/kernel/virtio_pci.ko.xz",
                        directory + "/kernel/virtio_scsi.ko.xz", directory + "/modules.dep"});
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings[0].find("keeps its old copy of /etc/crypttab") != std::string::npos);

    kernel.content->packing = Packing::lz4;
    kernel.version = "4.15.0-1";
    CHECK(plan_for(facts, names).detail.find("behind an archive that lz4 packed") !=
          std::string::npos);
    facts.boot_free = 1000;
    kernel.content->packing = Packing::zstd;
    CHECK(plan_for(facts, names).outcome == Outcome::cannot);
}
