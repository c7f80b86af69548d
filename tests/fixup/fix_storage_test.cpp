// The fixes for storage and for hardware agents where the corpus does not show them.
#include "fixup/boot_services.hpp"
#include "fixup/fixes.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

Facts facts_of_one_disk() {
    return {
        .system = {.tables = {"msdos"},
                   .volumes = {
                       {.device = "a",
                        .disk = 0,
                        .partition = 1,
                        .format = "ext4",
                        .uuid = "1",
                        .mount_point = "/"},
                       {.device = "b", .disk = 0, .partition = 2, .format = "swap", .uuid = "2"}}}};
}

void put(Facts& facts, const std::string& path, const std::string& content) {
    facts.files.put(path, {.status = {.kind = FileKind::file, .size = content.size()},
                           .content = content,
                           .readable = true});
}

void put_link(Facts& facts, const std::string& path, const std::string& target) {
    facts.files.put(path, {.status = {.kind = FileKind::symlink}, .content = target});
}

FixPlan plan_with(FixPlan (*fix)(const PlanInput&), const Facts& facts, const Wishes& wishes = {}) {
    return fix({.facts = facts, .wishes = wishes, .files = facts.files, .before = {}});
}

} // namespace

TEST_CASE("a root= that cannot be named is an obstacle in what boots, and a warning elsewhere") {
    Facts facts = facts_of_one_disk();
    put(facts, "/boot/grub/grub.cfg", "linux /v root=/dev/hda9 ro\ninitrd /i\n");
    const FixPlan plan = plan_with(plan_kernel_arguments, facts);
    CHECK(plan.outcome == Outcome::cannot);
    CHECK(plan.detail == "/boot/grub/grub.cfg:1: root=/dev/hda9 names a disk of the server, and it "
                         "is not certain which of the copy's that is");
    put(facts, "/boot/grub/grub.cfg", "linux /v root=UUID=1\nlinux /w root=/dev/hdb1\ninitrd /i\n");
    CHECK(plan_with(plan_kernel_arguments, facts).outcome == Outcome::not_needed);
    CHECK(plan_with(plan_kernel_arguments, facts).warnings.size() == 1);
}

TEST_CASE("a kernel without initramfs keeps the name of its root") {
    Facts facts = facts_of_one_disk();
    put(facts, "/boot/grub/menu.lst", "kernel /vmlinuz root=/dev/sda1 ro\n");
    CHECK(plan_with(plan_kernel_arguments, facts).outcome == Outcome::not_needed);
    put(facts, "/boot/grub/menu.lst", "kernel /vmlinuz root=/dev/hda1 ro\n");
    CHECK(plan_with(plan_kernel_arguments, facts).outcome == Outcome::cannot);
}

TEST_CASE("a system that starts from iSCSI is refused") {
    Facts facts = facts_of_one_disk();
    put(facts, "/etc/kernel/cmdline", "root=UUID=1 netroot=iscsi:@192.0.2.1::3260::iqn.x");
    CHECK(plan_with(plan_kernel_arguments, facts).outcome == Outcome::cannot);
}

TEST_CASE("ifname= gets the VM's address, and ip= stays") {
    Facts facts = facts_of_one_disk();
    put(facts, "/etc/kernel/cmdline",
        "ip=eth0:dhcp ifname=eth0:00:1e:67:AA:bb:cc ifname=eth9:00:1e:67:aa:bb:cd");
    const Wishes wishes{.nics = {{"eth0", "52:54:00:12:34:5a"}}};
    const FixPlan plan = plan_with(plan_kernel_arguments, facts, wishes);
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].after ==
          "ip=eth0:dhcp ifname=eth0:52:54:00:12:34:5A ifname=eth9:00:1e:67:aa:bb:cd");
    CHECK(plan.warnings.size() == 1);
}

TEST_CASE("services start by units or by scripts, and are kept from it in the same way") {
    Facts systemd = facts_of_one_disk();
    put_link(systemd, "/sbin/init", "../lib/systemd/systemd");
    put_link(systemd, "/etc/systemd/system/multi-user.target.wants/smartd.service", "x");
    put_link(systemd, "/etc/systemd/system/multi-user.target.wants/agent.service", "x");
    put(systemd, "/etc/systemd/system/agent.service", "[Unit]\n");
    const auto mask = edits_to_disable(systemd.files, "smartd", "y");
    REQUIRE(mask.size() == 1);
    CHECK(mask[0].path == "/etc/systemd/system/smartd.service");
    CHECK(mask[0].after == "/dev/null");
    systemd.files.apply(mask[0]);
    CHECK(starting_links(systemd.files, "smartd").empty());
    const auto own = edits_to_disable(systemd.files, "agent", "y");
    REQUIRE(own.size() == 1);
    CHECK(own[0].kind == EditKind::remove);
    Facts sysv = facts_of_one_disk();
    put_link(sysv, "/etc/rc3.d/S20smartd", "../init.d/smartd");
    const auto links = edits_to_disable(sysv.files, "smartd", "y");
    REQUIRE(links.size() == 2);
    CHECK(links[0].path == "/etc/rc3.d/S20smartd");
    CHECK(links[1].path == "/etc/rc3.d/K80smartd");
    CHECK(edits_to_disable(sysv.files, "other", "y").empty());
}

TEST_CASE("agents are reported, turned off on request, and a watchdog is told of apart") {
    Facts facts = facts_of_one_disk();
    for (const char* service : {"smartd", "ipmi", "watchdog"}) {
        put_link(facts, std::string("/etc/rc2.d/S20") + service, "x");
    }
    const FixPlan report = plan_with(plan_hardware_agents, facts);
    CHECK(report.outcome == Outcome::not_needed);
    REQUIRE(report.warnings.size() == 2);
    CHECK(report.warnings[0] ==
          "they look for the server's hardware, and --disable-agents turns them off: smartd, ipmi");
    CHECK(report.warnings[1].starts_with("watchdog: a watchdog restarts the VM"));
    const FixPlan off = plan_with(plan_hardware_agents, facts, {.agents = Agents::disable});
    CHECK(off.outcome == Outcome::planned);
    CHECK(off.detail == "turned off: watchdog, smartd, ipmi");
    CHECK(off.edits.size() == 6);
}

TEST_CASE("a multipath daemon stays where there are iSCSI volumes") {
    Facts facts = facts_of_one_disk();
    put(facts, "/etc/multipath/wwids", "/3600/\n");
    put_link(facts, "/etc/rc2.d/S06multipathd", "x");
    CHECK(plan_with(plan_storage_stack, facts).outcome == Outcome::planned);
    put(facts, "/etc/iscsi/nodes/iqn.x", "");
    const FixPlan plan = plan_with(plan_storage_stack, facts);
    CHECK(plan.outcome == Outcome::not_needed);
    CHECK(plan.warnings.size() == 1);
}

TEST_CASE("DEVICE lines of mdadm.conf and a cache of hardware names are mended") {
    Facts facts = facts_of_one_disk();
    put(facts, "/etc/mdadm.conf", "DEVICE /dev/hda1 /dev/hdc1 # legs\nARRAY /dev/md0 UUID=x\n");
    const FixPlan names = plan_with(plan_storage_names, facts);
    REQUIRE(names.edits.size() == 1);
    CHECK(names.edits[0].after == "DEVICE partitions # legs\nARRAY /dev/md0 UUID=x\n");
    CHECK(names.edits[0].reach == Reach::initramfs);
    put(facts, "/etc/blkid.tab", "<device TYPE=\"ext3\">/dev/hda1</device>\n");
    const FixPlan stack = plan_with(plan_storage_stack, facts);
    REQUIRE(stack.edits.size() == 1);
    CHECK(stack.edits[0].kind == EditKind::remove);
}

TEST_CASE("debconf's answer for grub-pc is told of") {
    Facts facts = facts_of_one_disk();
    put(facts, "/var/cache/debconf/config.dat",
        "Name: grub-pc/install_devices\nTemplate: x\nValue: /dev/disk/by-id/ata-X\n\nName: y\n");
    CHECK(plan_with(plan_storage_names, facts).warnings.size() == 1);
}

TEST_CASE("a hibernated system is not started elsewhere") {
    Facts facts = facts_of_one_disk();
    facts.system.volumes[1].format = "swsuspend";
    CHECK(plan_with(plan_storage_names, facts).outcome == Outcome::cannot);
}

TEST_CASE("what GRUB 0.97 left in a system that starts by GRUB 2 refuses nothing") {
    Facts facts = facts_of_one_disk();
    put(facts, "/boot/grub/grub.cfg", "linux /v root=UUID=1 ro\ninitrd /i\n");
    put(facts, "/boot/grub/menu.lst", "title old\nkernel /v root=/dev/hdc2 ro\ninitrd /i\n");
    put(facts, "/etc/fstab", "UUID=1 / ext4 ro 0 1\n/dev/sda2 none swap sw 0 0\n");
    CHECK(plan_with(plan_kernel_arguments, facts).outcome != Outcome::cannot);
    const FixPlan names = plan_with(plan_storage_names, facts);
    CHECK(names.outcome == Outcome::planned);
    REQUIRE(names.edits.size() == 1);
    CHECK(names.edits[0].after == "UUID=1 / ext4 ro 0 1\nUUID=2 none swap sw 0 0\n");
}
