// The iSCSI sessions in an inventory: clone/inventory_iscsi.cpp.
#include "clone/gather_inventory.hpp"
#include "tests/support/fake_sys.hpp"

#include <doctest/doctest.h>

namespace coldspare::clone {

namespace {

std::vector<IscsiSession> sessions_of(const FakeSys& machine) {
    MachineSources sources;
    sources.kernel = machine.roots();
    sources.root = "/nonexistent";
    return gather_inventory(sources, "coldspare test").iscsi_sessions;
}

} // namespace

TEST_CASE("an iSCSI session has its names, its portal and its disks") {
    FakeSys machine;
    const std::filesystem::path sys = machine.roots().sys;
    FakeSys::set(sys / "class/iscsi_session/session1/targetname", "iqn.2003-01.org.nas:mail\n");
    FakeSys::set(sys / "class/iscsi_session/session1/initiatorname", "iqn.1993-08.org.debian:01\n");
    const std::filesystem::path connection = sys / "class/iscsi_connection/connection1:0";
    FakeSys::set(connection / "persistent_address", "192.0.2.50\n");
    FakeSys::set(connection / "persistent_port", "3260\n");
    FakeSys::set(connection / "address", "192.0.2.51\n");
    FakeSys::set(connection / "port", "3261\n");
    machine.add_disk("platform/host2/session1/target2:0:0/2:0:0:1/block", "sdb", 8, 16);
    machine.add_disk("platform/host3/session11/target3:0:0/3:0:0:1/block", "sdc", 8, 32);
    machine.add_disk("pci0000:00/ata1/host0", "sda", 8, 0);
    FakeSys::set(sys / "class/iscsi_session/session11/targetname", "iqn.2003-01.org.nas:files\n");
    FakeSys::set(sys / "class/iscsi_session/session11/initiatorname", "(null)\n");
    FakeSys::set(sys / "class/iscsi_connection/connection11:0/address", "fd00::1\n");
    FakeSys::set(sys / "class/iscsi_connection/connection11:0/port", "3260\n");
    FakeSys::set(sys / "class/iscsi_session/session12/state", "FREE\n");
    CHECK(sessions_of(machine) ==
          std::vector<IscsiSession>{{.target = "iqn.2003-01.org.nas:mail",
                                     .portal = "192.0.2.50:3260",
                                     .address = "192.0.2.51:3261",
                                     .initiator = "iqn.1993-08.org.debian:01",
                                     .disks = {"/dev/sdb"}},
                                    {.target = "iqn.2003-01.org.nas:files",
                                     .portal = "[fd00::1]:3260",
                                     .address = "[fd00::1]:3260",
                                     .disks = {"/dev/sdc"}}});
}

TEST_CASE("a session whose connection is gone still tells its target") {
    FakeSys machine;
    FakeSys::set(machine.roots().sys / "class/iscsi_session/session7/targetname", "iqn.x\n");
    CHECK(sessions_of(machine) == std::vector<IscsiSession>{{.target = "iqn.x"}});
}

} // namespace coldspare::clone
