#include "fixup/fixes.hpp"
#include "fixup/iscsi_name.hpp"
#include "fixup/iscsi_nodes.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

const std::string own_name = "iqn.2026-11.lan.example:mail01-standby";
const std::string old_name = "iqn.1993-08.org.debian:01:5c9a0e17";
const std::string name_file = "/etc/iscsi/initiatorname.iscsi";
const std::string record = "/etc/iscsi/nodes/iqn.2001-04.com.san:spool/10.0.0.9,3260,1/default";

FixPlan plan_of(const FileTree& files, const std::string& name) {
    const Facts facts{.files = files};
    return plan_initiator(
        {.facts = facts, .wishes = {.initiator_name = name}, .files = facts.files, .before = {}});
}

FileTree tree_of(MemoryGuest& guest) {
    const std::vector<std::string_view> patterns = files_to_read();
    return read_files(guest, patterns);
}

MemoryGuest initiator() {
    MemoryGuest guest;
    guest.put(name_file, "## DO NOT EDIT OR REMOVE THIS FILE!\nInitiatorName=" + old_name + "\n");
    guest.put("/etc/iscsi/iscsid.conf", "# node.startup = manual\nnode.startup = automatic\n");
    guest.put(record, "# BEGIN RECORD 2.1.8\nnode.name = iqn.2001-04.com.san:spool\n"
                      "node.startup = automatic\niface.initiatorname = <empty>\n"
                      "node.conn[0].startup = manual\n# END RECORD\n");
    return guest;
}

} // namespace

TEST_CASE("the standby gets its own initiator name and logs in nowhere at boot") {
    MemoryGuest guest = initiator();
    FileTree files = tree_of(guest);
    const FixPlan plan = plan_of(files, own_name);
    CHECK(plan.outcome == Outcome::planned);
    CHECK(plan.detail == "the standby is " + own_name + ", 1 node record with manual startup");
    REQUIRE(plan.edits.size() == 3);
    CHECK(plan.edits[0].path == name_file);
    CHECK(plan.edits[0].after ==
          "## DO NOT EDIT OR REMOVE THIS FILE!\nInitiatorName=" + own_name + "\n");
    CHECK(plan.edits[1].path == record);
    CHECK(plan.edits[1].after == "# BEGIN RECORD 2.1.8\nnode.name = iqn.2001-04.com.san:spool\n"
                                 "node.startup = manual\niface.initiatorname = <empty>\n"
                                 "node.conn[0].startup = manual\n# END RECORD\n");
    CHECK(plan.edits[2].after == "# node.startup = manual\nnode.startup = manual\n");
    for (const FileEdit& edit : plan.edits) {
        CHECK(edit.reach == Reach::system);
        files.apply(edit);
    }
    const FixPlan again = plan_of(files, own_name);
    CHECK(again.outcome == Outcome::not_needed);
    CHECK(again.edits.empty());
    CHECK(again.warnings.empty());
}

TEST_CASE("without a name of its own the records become manual all the same, and that is said") {
    MemoryGuest guest = initiator();
    const FixPlan plan = plan_of(tree_of(guest), "");
    CHECK(plan.edits.size() == 2);
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings[0].starts_with("the standby has the server's own iSCSI name"));
}

TEST_CASE("an initiator that knows no volume needs nothing") {
    MemoryGuest guest;
    guest.put("/etc/iscsi/iscsid.conf", "node.startup = automatic\n");
    const FixPlan plan = plan_of(tree_of(guest), "");
    CHECK(plan.outcome == Outcome::not_needed);
    CHECK(plan.warnings.empty());
}

TEST_CASE("a system without an initiator is told that nothing would use the name") {
    MemoryGuest guest;
    const FixPlan plan = plan_of(tree_of(guest), own_name);
    CHECK(plan.outcome == Outcome::not_needed);
    CHECK(plan.edits.empty());
    CHECK(plan.warnings.size() == 1);
}

TEST_CASE("a name that would be made at the first start is replaced by the standby's") {
    MemoryGuest guest;
    guest.put(name_file, "GenerateName=yes\n");
    const FixPlan plan = plan_of(tree_of(guest), own_name);
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].after == "GenerateName=no\nInitiatorName=" + own_name + "\n");
}

TEST_CASE("records and interfaces that are bound to the server's name get the new one") {
    MemoryGuest guest = initiator();
    guest.put(record, "node.startup = automatic\niface.initiatorname = " + old_name + "\n");
    guest.put("/var/lib/iscsi/ifaces/nic0", "iface.initiatorname = iqn.2000-01.other\n");
    const FixPlan plan = plan_of(tree_of(guest), own_name);
    REQUIRE(plan.edits.size() == 3);
    CHECK(plan.edits[1].after == "node.startup = manual\niface.initiatorname = " + own_name + "\n");
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings[0] ==
          "/var/lib/iscsi/ifaces/nic0:1 logs in as iqn.2000-01.other, which is the server's too");
}

TEST_CASE("records of both depths and both places are found") {
    MemoryGuest guest;
    guest.put("/etc/iscsi/nodes/iqn.a/10.0.0.1,3260", "node.startup = automatic\n");
    guest.put("/var/lib/iscsi/nodes/iqn.b/10.0.0.1,3260,1/default", "node.startup = automatic\r\n");
    guest.put("/var/lib/iscsi/nodes/iqn.b/10.0.0.1,3260,1/other", "node.startup = onboot");
    const FixPlan plan = plan_of(tree_of(guest), "");
    REQUIRE(plan.edits.size() == 2);
    CHECK(plan.edits[1].after == "node.startup = manual\r\n");
    CHECK(plan.warnings[0].find("other:1 is logged in to by the initramfs") != std::string::npos);
}

TEST_CASE("an initramfs that carries the initiator name is built again") {
    MemoryGuest guest = initiator();
    guest.put("/etc/iscsi/iscsi.initramfs", "");
    CHECK(plan_of(tree_of(guest), own_name).edits[0].reach == Reach::initramfs);
}

TEST_CASE("mounts that the boot would wait for are reported") {
    MemoryGuest guest = initiator();
    guest.put("/etc/fstab", "# <fs> <mount>\n"
                            "UUID=1 / ext4 errors=remount-ro 0 1\n"
                            "UUID=2 /var/spool/cyrus ext4 _netdev,noatime 0 2\n"
                            "UUID=3 /var/lib/cyrus ext4 noauto,_netdev 0 2\n"
                            "nas:/x /mnt nfs _netdev 0 0\n"
                            "UUID=4 /srv ext4 defaults,_netdev,nofail\n"
                            "UUID=5");
    const FixPlan plan = plan_of(tree_of(guest), own_name);
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings[0] ==
          "/etc/fstab:3: /var/spool/cyrus is on a volume that nothing logs in to at boot: the boot "
          "may wait for it (systemd: 90 seconds) and goes on without; the runbook mounts it");
}

TEST_CASE("iSCSI names are what RFC 3720 says") {
    for (const char* name :
         {"iqn.1993-08.org.debian:01:abc", "iqn.2026-11.lan.example", "eui.02004567A425678D",
          "naa.52004567ba64678d", "naa.62004567ba64678d0123456789abcdef"}) {
        CAPTURE(name);
        CHECK(complaint_about_iscsi_name(name).empty());
    }
    for (const char* name :
         {"", "iqn", "iqn.", "iqn.2026-13.lan", "iqn.2026-1.lan", "iqn.2026-11.", "iqn.2026-11.:x",
          "iqn.2026-11.LAN:x", "iqn.2026-11.lan:a b", "iqn.2026-11.lan:a_b", "IQN.2026-11.lan",
          "eui.0200", "eui.0200456zA425678D", "naa.123", "mail01"}) {
        CAPTURE(name);
        CHECK_FALSE(complaint_about_iscsi_name(name).empty());
    }
    CHECK(complaint_about_iscsi_name("iqn.2026-11.lan:" + std::string(223, 'a')) ==
          "has 239 bytes, and at most 223 are allowed");
    MemoryGuest guest = initiator();
    const FixPlan plan = plan_of(tree_of(guest), "mail01");
    CHECK(plan.outcome == Outcome::cannot);
    CHECK(plan.detail ==
          "the initiator name 'mail01' begins with neither 'iqn.' nor 'eui.' nor 'naa.'");
}
