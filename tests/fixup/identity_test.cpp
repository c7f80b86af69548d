// A standby is no template: whatever the system, no plan touches what makes the machine itself.
#include "base/text.hpp"
#include "fixup/apply.hpp"
#include "fixup/fixes.hpp"
#include "fixup/plan.hpp"
#include "tests/support/corpus.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

/// Paths that no edit may have; '*' stands for anything.
constexpr auto identity = std::to_array<std::string_view>(
    {"/etc/hostname", "/etc/HOSTNAME", "/etc/mailname", "/etc/hosts", "/etc/sysconfig/network",
     "/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/resolv.conf", "/etc/nsswitch.conf",
     "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/localtime", "/etc/timezone",
     "/etc/adjtime",
     // keys
     "/etc/ssh/*", "*/.ssh/*", "*.keytab", "/etc/*.secret", "/etc/ssl/*", "/etc/pki/*",
     "/etc/univention/ssl/*", "/etc/openvpn/*", "/etc/wireguard/*", "/etc/luks/*",
     // directory and domain
     "/etc/krb5*", "/etc/ldap*", "/etc/openldap/*", "/etc/samba/*", "/var/lib/samba/*",
     "/etc/sssd/*", "/var/lib/sss/*", "/var/lib/ldap/*", "/var/lib/univention*",
     "/var/lib/heimdal*",
     // leases, seeds, identifiers
     "/var/lib/dhcp*", "/var/lib/dhclient/*", "/var/lib/NetworkManager/*", "/var/lib/wicked/*",
     "/var/lib/systemd/random-seed", "/var/lib/urandom/*", "/var/lib/misc/random-seed",
     "/etc/NetworkManager/secret_key",
     // packages, subscriptions, data
     "/var/lib/dpkg/*", "/var/lib/rpm/*", "/etc/puppet*", "/var/spool/*", "/var/lib/mysql/*",
     "/home/*"});

bool fits(std::string_view path, std::string_view pattern) {
    const std::size_t star = pattern.find('*');
    if (star == std::string_view::npos) {
        return path == pattern;
    }
    if (!path.starts_with(pattern.substr(0, star))) {
        return false;
    }
    const std::string_view rest = pattern.substr(star + 1);
    for (std::size_t at = star; at <= path.size(); ++at) {
        if (fits(path.substr(at), rest)) {
            return true;
        }
    }
    return false;
}

/// The lines that are in one text and not in the other.
std::vector<std::string> changed_lines(const std::string& before, const std::string& after) {
    const auto lines_of = [](const std::string& text) {
        std::vector<std::string> lines;
        for (const std::string_view line : split_lines(text)) {
            lines.emplace_back(line);
        }
        std::ranges::sort(lines);
        return lines;
    };
    std::vector<std::string> changed;
    std::ranges::set_symmetric_difference(lines_of(before), lines_of(after),
                                          std::back_inserter(changed));
    return changed;
}

/// In files that hold an identity beside other things, its lines stay.
void check_lines(const FileEdit& edit) {
    const bool variables = edit.path == "/etc/univention/base.conf";
    const bool interfaces = edit.path.starts_with("/etc/network/interfaces");
    if (!variables && !interfaces) {
        return;
    }
    for (const std::string& line : changed_lines(edit.before.value_or(""), edit.after)) {
        CAPTURE(line);
        const std::string_view word = trim(line).substr(0, trim(line).find_first_of(" \t"));
        CHECK((!variables || line.find("/autostart: ") != std::string::npos));
        CHECK((!interfaces || (word != "address" && word != "netmask" && word != "gateway" &&
                               !word.starts_with("dns-"))));
    }
}

} // namespace

TEST_CASE("no plan for any system of the corpus edits what makes a machine itself") {
    std::size_t edits = 0;
    for (const std::filesystem::path& folder : corpus_folders()) {
        CAPTURE(folder.filename().string());
        CorpusCase system = read_corpus_case(folder);
        const Plan plan = make_plan(gather_facts(system.guest), system.wishes);
        for (const FixPlan& fix : plan.fixes) {
            for (const FileEdit& edit : fix.edits) {
                ++edits;
                CAPTURE(edit.path);
                CHECK(std::ranges::none_of(
                    identity, [&](std::string_view pattern) { return fits(edit.path, pattern); }));
                check_lines(edit);
            }
        }
    }
    CHECK(edits > 0);
}

TEST_CASE("a system of the corpus that was mended has each byte of its identity") {
    for (const std::filesystem::path& folder : corpus_folders()) {
        CAPTURE(folder.filename().string());
        CorpusCase system = read_corpus_case(folder);
        const Plan plan = make_plan(gather_facts(system.guest), system.wishes);
        if (plan.obstacle() != nullptr) {
            continue;
        }
        const std::map<std::string, MemoryGuest::Node> before = system.guest.nodes;
        apply_plan(system.guest, plan, [](std::string_view) {});
        for (const auto& [path, node] : before) {
            const bool is_identity = std::ranges::any_of(
                identity, [&](std::string_view pattern) { return fits(path, pattern); });
            const auto after = system.guest.nodes.find(path);
            CAPTURE(path);
            CHECK((!is_identity || (after != system.guest.nodes.end() && after->second == node)));
        }
    }
}

TEST_CASE("the patterns of identity fit what they should") {
    CHECK(fits("/etc/ssh/ssh_host_rsa_key", "/etc/ssh/*"));
    CHECK(fits("/srv/git/.ssh/id_rsa", "*/.ssh/*"));
    CHECK(fits("/etc/machine.secret", "/etc/*.secret"));
    CHECK_FALSE(fits("/etc/hosts.allow", "/etc/hosts"));
}
