#include "fixup/hold_ways.hpp"

#include "fixup/fixes.hpp"
#include "fixup/services.hpp"
#include "tests/support/memory_guest.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace coldspare::fixup;

namespace {

using Words = std::vector<std::string>;

FileTree tree_of(MemoryGuest& guest) {
    const std::vector<std::string_view> patterns = files_to_read();
    return read_files(guest, patterns);
}

MemoryGuest systemd_guest() {
    MemoryGuest guest;
    guest.put("/lib/systemd/systemd", "");
    guest.put_link("/sbin/init", "/lib/systemd/systemd");
    return guest;
}

FixPlan plan_for(MemoryGuest& guest, Words holds) {
    const Facts facts{.files = tree_of(guest)};
    return plan_holds({.facts = facts,
                       .wishes = {.holds = std::move(holds)},
                       .files = facts.files,
                       .before = {}});
}

Words paths_of(const FixPlan& plan) {
    Words paths;
    for (const FileEdit& edit : plan.edits) {
        paths.push_back(edit.path);
    }
    return paths;
}

/// The plan for the guest that the plan was carried out on.
FixPlan again(MemoryGuest& guest, const FixPlan& plan, Words holds) {
    Facts facts{.files = tree_of(guest)};
    for (const FileEdit& edit : plan.edits) {
        facts.files.apply(edit);
    }
    return plan_holds({.facts = facts,
                       .wishes = {.holds = std::move(holds)},
                       .files = facts.files,
                       .before = {}});
}

} // namespace

TEST_CASE("a unit of systemd is held by a condition that only the runbook makes true") {
    MemoryGuest guest = systemd_guest();
    guest.put("/lib/systemd/system/cyrus-imapd.service", "[Service]\n");
    const FixPlan plan = plan_for(guest, {"cyrus-imapd"});
    CHECK(plan.outcome == Outcome::planned);
    CHECK(plan.detail == "cyrus-imapd held (systemd drop-in)");
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].path == "/etc/systemd/system/cyrus-imapd.service.d/zz-coldspare-hold.conf");
    CHECK(plan.edits[0].after ==
          "# coldspare fixup: cyrus-imapd is held until the runbook releases "
          "it\n[Unit]\nConditionPathExists=/run/coldspare/released/"
          "cyrus-imapd\n");
    const FixPlan second = again(guest, plan, {"cyrus-imapd"});
    CHECK(second.outcome == Outcome::not_needed);
    CHECK(second.detail == "cyrus-imapd held already (systemd drop-in)");
}

TEST_CASE("the suffix .service may be said") {
    MemoryGuest guest = systemd_guest();
    guest.put("/lib/systemd/system/slapd.service", "");
    CHECK(plan_for(guest, {"slapd.service"}).detail == "slapd held (systemd drop-in)");
}

TEST_CASE("a unit's own file in /etc/systemd/system is held as well") {
    MemoryGuest guest = systemd_guest();
    guest.put("/etc/systemd/system/ours.service", "[Service]\n");
    const FixPlan plan = plan_for(guest, {"ours"});
    CHECK(paths_of(plan) == Words{"/etc/systemd/system/ours.service.d/zz-coldspare-hold.conf"});
}

TEST_CASE("sockets, timers, paths and instances that would start the service are held with it") {
    MemoryGuest guest = systemd_guest();
    for (const char* unit : {"x.service", "x.socket", "x.timer", "x.path", "x@.service"}) {
        guest.put(std::string("/lib/systemd/system/") + unit, "");
    }
    guest.put_link("/etc/systemd/system/multi-user.target.wants/x@main.service",
                   "/lib/systemd/system/x@.service");
    guest.put_link("/etc/systemd/system/sockets.target.wants/x.socket",
                   "/lib/systemd/system/x.socket");
    Words units;
    for (const std::string& path : paths_of(plan_for(guest, {"x"}))) {
        units.push_back(path.substr(20, path.rfind(".d/") - 20));
    }
    CHECK(units == Words{"x.service", "x@.service", "x.socket", "x.timer", "x.path"});
    const std::vector<HoldWay> ways = hold_ways(tree_of(guest), "x");
    REQUIRE(ways.size() == 1);
    CHECK(ways[0].release == Words{"mkdir -p /run/coldspare/released",
                                   "touch /run/coldspare/released/x",
                                   "systemctl start x.socket x@main.service x.service"});
}

TEST_CASE("an alias holds the unit that it leads to") {
    MemoryGuest guest = systemd_guest();
    guest.put("/lib/systemd/system/mariadb.service", "");
    guest.put_link("/etc/systemd/system/mysql.service", "/lib/systemd/system/mariadb.service");
    const FixPlan plan = plan_for(guest, {"mysql"});
    CHECK(paths_of(plan) == Words{"/etc/systemd/system/mariadb.service.d/zz-coldspare-hold.conf"});
    const FixPlan both = plan_for(guest, {"mysql", "mariadb"});
    CHECK(both.edits.size() == 1);
    CHECK(both.detail == "mysql held (systemd drop-in), mariadb held already (systemd drop-in)");
}

TEST_CASE("links that lead in a circle end") {
    MemoryGuest guest = systemd_guest();
    guest.put_link("/etc/systemd/system/a.service", "b.service");
    guest.put_link("/etc/systemd/system/b.service", "a.service");
    CHECK(plan_for(guest, {"a"}).outcome == Outcome::planned);
}

TEST_CASE("an instance is held alone") {
    MemoryGuest guest = systemd_guest();
    guest.put("/lib/systemd/system/postgresql@.service", "");
    CHECK(paths_of(plan_for(guest, {"postgresql@15-main"})) ==
          Words{"/etc/systemd/system/postgresql@15-main.service.d/zz-coldspare-hold.conf"});
}

TEST_CASE("a script that systemd makes a unit of is held as that unit") {
    MemoryGuest guest = systemd_guest();
    guest.put("/etc/init.d/slapd", "#!/bin/sh\n");
    guest.put_link("/etc/rc2.d/S01slapd", "../init.d/slapd");
    CHECK(paths_of(plan_for(guest, {"slapd"})) ==
          Words{"/etc/systemd/system/slapd.service.d/zz-coldspare-hold.conf"});
}

TEST_CASE("where it cannot be seen that systemd is process 1, scripts are held too") {
    MemoryGuest guest;
    guest.put("/lib/systemd/systemd", "");
    guest.put("/sbin/init", "");
    guest.put("/etc/init.d/slapd", "#!/bin/sh\n");
    guest.put_link("/etc/rc2.d/S19slapd", "../init.d/slapd");
    CHECK(plan_for(guest, {"slapd"}).detail == "slapd held (systemd drop-in, SysV links)");
}

TEST_CASE("a service that the server masks is held already, and that is said") {
    MemoryGuest guest = systemd_guest();
    guest.put_link("/etc/systemd/system/slapd.service", "/dev/null");
    guest.put("/lib/systemd/system/slapd.service", "");
    const FixPlan plan = plan_for(guest, {"slapd"});
    CHECK(plan.outcome == Outcome::not_needed);
    CHECK(plan.warnings ==
          Words{"slapd is masked on the server: it starts neither there nor here"});
}

TEST_CASE("start links become stop links in the runlevels that start something") {
    MemoryGuest guest;
    guest.put("/etc/init.d/cyrus2.2", "#!/bin/sh\n");
    guest.put_link("/etc/rc0.d/K20cyrus2.2", "../init.d/cyrus2.2");
    guest.put_link("/etc/rc2.d/S20cyrus2.2", "../init.d/cyrus2.2");
    guest.put_link("/etc/rc3.d/S20mail", "../init.d/cyrus2.2");
    guest.put_link("/etc/rc3.d/S20cyrus2", "../init.d/cyrus2");
    guest.put_link("/etc/rc6.d/S20cyrus2.2", "../init.d/cyrus2.2");
    const FixPlan plan = plan_for(guest, {"cyrus2.2"});
    CHECK(paths_of(plan) == Words{"/etc/rc2.d/K80cyrus2.2", "/etc/rc2.d/S20cyrus2.2",
                                  "/etc/rc3.d/K80mail", "/etc/rc3.d/S20mail"});
    REQUIRE(plan.edits.size() == 4);
    CHECK(plan.edits[0].kind == EditKind::link);
    CHECK(plan.edits[0].after == "../init.d/cyrus2.2");
    CHECK(plan.edits[1].kind == EditKind::remove);
    CHECK(again(guest, plan, {"cyrus2.2"}).outcome == Outcome::not_needed);
    const std::vector<HoldWay> ways = hold_ways(tree_of(guest), "cyrus2.2");
    REQUIRE(ways.size() == 1);
    CHECK(ways[0].release == Words{"/etc/init.d/cyrus2.2 start"});
    CHECK(ways[0].restore[0] == "mv -f '/etc/rc2.d/K80cyrus2.2' '/etc/rc2.d/S20cyrus2.2'");
}

TEST_CASE("on Red Hat the stop priority is the script's, and each link is renamed once") {
    MemoryGuest guest;
    guest.put("/etc/rc.d/init.d/cyrus-imapd", "#!/bin/sh\n#\n# chkconfig: - 65 35\n");
    guest.put_link("/etc/init.d", "rc.d/init.d");
    guest.put_link("/etc/rc.d/rc3.d/S65cyrus-imapd", "../init.d/cyrus-imapd");
    guest.put_link("/etc/rc3.d", "rc.d/rc3.d");
    CHECK(paths_of(plan_for(guest, {"cyrus-imapd"})) ==
          Words{"/etc/rc.d/rc3.d/K35cyrus-imapd", "/etc/rc.d/rc3.d/S65cyrus-imapd"});
}

TEST_CASE("on SUSE the links are below /etc/init.d") {
    MemoryGuest guest;
    guest.put("/etc/init.d/cyrus", "#!/bin/sh\n");
    guest.put_link("/etc/rc.d", "init.d");
    guest.put_link("/etc/init.d/rc5.d/S11cyrus", "../cyrus");
    CHECK(paths_of(plan_for(guest, {"cyrus"})) ==
          Words{"/etc/init.d/rc5.d/K89cyrus", "/etc/init.d/rc5.d/S11cyrus"});
}

TEST_CASE("insserv's order forgets the script as insserv itself would") {
    constexpr const char* depend = "TARGETS = rsyslog slapd cyrus-imapd ssh\n"
                                   "INTERACTIVE =\n"
                                   "slapd: rsyslog\n"
                                   "cyrus-imapd: rsyslog slapd\n"
                                   "ssh: rsyslog cyrus-imapd\n";
    const std::string without = without_script(depend, "cyrus-imapd");
    CHECK(without == "TARGETS = rsyslog slapd ssh\n"
                     "INTERACTIVE =\n"
                     "slapd: rsyslog\n"
                     "ssh: rsyslog\n");
    CHECK(without_script(without, "cyrus-imapd") == without);
    CHECK(without_script("TARGETS = a  b\r\nx", "none") == "TARGETS = a  b\r\nx");
    CHECK(without_script("", "a").empty());
}

TEST_CASE("a job of Upstart is held by an override, behind what is in it") {
    MemoryGuest guest;
    guest.put("/etc/init/mysql.conf", "start on runlevel [2345]\n");
    const FixPlan plan = plan_for(guest, {"mysql"});
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].path == "/etc/init/mysql.override");
    CHECK(plan.edits[0].after == "# coldspare fixup: held until the runbook releases it\nmanual\n");
    CHECK(again(guest, plan, {"mysql"}).outcome == Outcome::not_needed);
    guest.put("/etc/init/mysql.override", "start on started network");
    const FixPlan behind = plan_for(guest, {"mysql"});
    REQUIRE(behind.edits.size() == 1);
    CHECK(behind.edits[0].after.starts_with("start on started network\n# coldspare"));
}

TEST_CASE("the variable of UCS that the init script looks at becomes no, and nothing else does") {
    MemoryGuest guest;
    guest.put("/etc/univention/base.conf",
              "# univention_ base.conf\n\nhostname: mail01\nmail/cyrus22/autostart: yes\nx/y: 1\n");
    guest.put("/etc/init.d/cyrus2.2",
              "#!/bin/sh\ncheck_autostart cyrus2.2 mail/cyrus22/autostart\n");
    guest.put_link("/etc/rc2.d/S20cyrus2.2", "../init.d/cyrus2.2");
    const FixPlan plan = plan_for(guest, {"cyrus2.2"});
    CHECK(plan.detail == "cyrus2.2 held (UCR variable, SysV links)");
    REQUIRE(plan.edits.size() == 3);
    CHECK(plan.edits[0].after ==
          "# univention_ base.conf\n\nhostname: mail01\nmail/cyrus22/autostart: no\nx/y: 1\n");
    CHECK(again(guest, plan, {"cyrus2.2"}).outcome == Outcome::not_needed);
    const std::vector<HoldWay> ways = hold_ways(tree_of(guest), "cyrus2.2");
    REQUIRE(ways.size() == 2);
    CHECK(ways[0].release == Words{"univention-config-registry set mail/cyrus22/autostart=yes"});
}

TEST_CASE("a variable of UCS that is not set is added, and a layer above it is told of") {
    MemoryGuest guest;
    guest.put("/etc/univention/base.conf", "hostname: mail01");
    guest.put("/etc/univention/base-forced.conf", "slapd/autostart: yes\n");
    guest.put("/etc/init.d/slapd", "#!/bin/sh\n");
    const FixPlan plan = plan_for(guest, {"slapd"});
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].after == "hostname: mail01\nslapd/autostart: no\n");
    CHECK(plan.warnings ==
          Words{"/etc/univention/base-forced.conf says slapd/autostart: yes, which "
                "counts more than base.conf: the variable does not hold the "
                "service"});
}

TEST_CASE("a service of xinetd is disabled, and one of runit gets a down file") {
    MemoryGuest guest;
    guest.put("/etc/xinetd.d/imap", "service imap\n{\n\tdisable\t= no\n\tserver = /x\n}\n");
    guest.put("/etc/xinetd.d/pop3",
              "service pop3\n{ \n\tserver = /x\n}\nservice pop3s\n{\n\tdisable = no\n}\n");
    guest.put_directory("/etc/sv/listener");
    guest.put_link("/etc/service/listener", "/etc/sv/listener");
    const FixPlan plan = plan_for(guest, {"imap", "pop3", "listener"});
    REQUIRE(plan.edits.size() == 3);
    CHECK(plan.edits[0].after == "service imap\n{\n\tdisable\t= yes\n\tserver = /x\n}\n");
    CHECK(plan.edits[1].after == "service pop3\n{ \n\tserver = /x\n\tdisable = yes\n}\nservice "
                                 "pop3s\n{\n\tdisable = yes\n}\n");
    CHECK(plan.edits[2].path == "/etc/sv/listener/down");
}

TEST_CASE("a hold that holds nothing is refused, with the names that are like it") {
    MemoryGuest guest = systemd_guest();
    guest.put("/lib/systemd/system/cyrus-imapd.service", "");
    guest.put("/lib/systemd/system/ssh.service", "");
    const FixPlan plan = plan_for(guest, {"cyrus2.2"});
    CHECK(plan.outcome == Outcome::cannot);
    CHECK(plan.edits.empty());
    CHECK(plan.detail ==
          "nothing in the system would start a service 'cyrus2.2', so that it cannot be held");
    CHECK(plan.hint == "did you mean cyrus-imapd?");
}

TEST_CASE("a name that cannot be a service is refused") {
    for (const char* name : {"", "-x", ".x", "a/b", "a b", "a;b", "a%n", "a\nb"}) {
        CAPTURE(name);
        CHECK_FALSE(complaint_about_service(name).empty());
    }
    CHECK_FALSE(complaint_about_service(std::string(256, 'a')).empty());
    for (const char* name : {"cyrus2.2", "postgresql@15-main", "cyrus-imapd", "a_b:c"}) {
        CAPTURE(name);
        CHECK(complaint_about_service(name).empty());
    }
    MemoryGuest guest = systemd_guest();
    CHECK(plan_for(guest, {"a/b"}).detail ==
          "the name of a service 'a/b' has other characters than "
          "letters, digits and '@._:-'");
}

TEST_CASE("lines that would start a held service by themselves are reported") {
    MemoryGuest guest = systemd_guest();
    guest.put("/lib/systemd/system/slapd.service", "");
    guest.put("/etc/rc.local", "#!/bin/sh\n# slapd\nsystemctl restart slapd\nslapd-x\n");
    guest.put("/etc/cron.d/watch", "*/5 * * * * root pgrep slapd || service slapd start\n"
                                   "0 1 * * * root slapcat -f /etc/slapd\n");
    const Words warnings = plan_for(guest, {"slapd"}).warnings;
    REQUIRE(warnings.size() == 2);
    CHECK(warnings[0] == "/etc/rc.local:3: systemctl restart slapd (may start slapd in spite of "
                         "its hold: take it out)");
    CHECK(warnings[1] == "/etc/cron.d/watch:1: */5 * * * * root pgrep slapd || service slapd start "
                         "(may start slapd in spite of its hold: take it out)");
}
