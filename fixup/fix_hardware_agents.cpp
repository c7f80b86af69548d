#include "fixup/boot_services.hpp"
#include "fixup/fixes.hpp"
#include "fixup/text_edit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

/// Services that look for the hardware of a server. Units and scripts of System V, as
/// distributions and vendors call them.
constexpr auto agents = std::to_array<std::string_view>(
    {// disks
     "smartd", "smartmontools", "mdmonitor", "megaraidd", "MSM_fwupgradehandler",
     "vivaldiframeworkd", "mrmonitor", "lsi_mrdsnmpd", "hpacucli", "arcconf", "aacraid-agent",
     "stor_agent",
     // vendors' management
     "hp-health", "hp-snmp-agents", "hp-asrd", "hp-ams", "hpsmhd", "hpasm", "hpasmxld", "amsd",
     "smad", "ahslog", "dataeng", "dsm_om_connsvc", "dsm_om_shrsvc", "dsm_sa_datamgrd",
     "instsvcdrv", "racsvc", "srvadmin-services", "eecd", "srvmagt", "hwmon-agent",
     // board management, sensors, processors
     "ipmi", "openipmi", "ipmievd", "ipmidetectd", "bmc-snmp-proxy", "lm-sensors", "lm_sensors",
     "sensord", "fancontrol", "edac", "mcelog", "rasdaemon", "cpuspeed", "cpufrequtils", "cpufreqd",
     "loadcpufreq", "thermald",
     // power supplies, phones, tapes, radio, dongles
     "nut-driver", "nut-server", "nut", "ups", "upsd", "apcupsd", "isdn", "isdnutils", "capiutils",
     "mt-st", "bluetooth", "fcoe", "lldpad", "hasplmd", "aksusbd"});

/// They write to a timer of the board, which restarts the machine if they do not.
constexpr std::array<std::string_view, 4> watchdogs{"watchdog", "watchdogd", "wd_keepalive",
                                                    "hp-asrd"};

constexpr std::string_view why = "it looks for hardware of the server";

template <std::size_t N>
std::vector<std::string_view> starting(const FileTree& files,
                                       const std::array<std::string_view, N>& services) {
    std::vector<std::string_view> found;
    for (const std::string_view service : services) {
        if (!starting_links(files, service).empty()) {
            found.push_back(service);
        }
    }
    return found;
}

/// Modules that systemd or Debian's /etc/modules loads, and that make a failed unit in a VM.
void look_at_modules(const FileTree& files, FixPlan& plan) {
    constexpr std::array<std::string_view, 8> modules{
        "ipmi_si", "ipmi_devintf", "hpilo", "hpwdt", "iTCO_wdt", "coretemp", "ipmi_ssif", "dcdbas"};
    std::vector<std::string> paths = files.in("/etc/modules-load.d", ".conf");
    paths.emplace_back("/etc/modules");
    for (const std::string& path : paths) {
        for (const TextLine& line : text_lines(files.text_or_empty(path))) {
            const std::vector<Piece> words = words_in(line.piece);
            if (!words.empty() && std::ranges::find(modules, words[0].text) != modules.end()) {
                plan.warnings.push_back(
                    fmt::format("{}:{}: {} is a driver of the server's board: loading it says "
                                "'failed' in the VM, and does no harm",
                                path, line.number, words[0].text));
            }
        }
    }
}

} // namespace

FixPlan plan_hardware_agents(const PlanInput& input) {
    FixPlan plan;
    const std::vector<std::string_view> guards = starting(input.files, watchdogs);
    std::vector<std::string_view> found = starting(input.files, agents);
    std::erase_if(found, [&guards](std::string_view service) {
        return std::ranges::find(guards, service) != guards.end();
    });
    look_at_modules(input.files, plan);
    std::vector<std::string_view> all = guards;
    all.insert(all.end(), found.begin(), found.end());
    if (all.empty()) {
        plan.detail = "no service is known to look for the server's hardware";
        return plan;
    }
    if (input.wishes.agents == Agents::report) {
        plan.detail = "services that look for the server's hardware are left on";
        if (!found.empty()) {
            plan.warnings.push_back(
                fmt::format("they look for the server's hardware, and --disable-agents turns them "
                            "off: {}",
                            fmt::join(found, ", ")));
        }
        if (!guards.empty()) {
            plan.warnings.push_back(fmt::format(
                "{}: a watchdog restarts the VM again and again if it finds a timer that it does "
                "not serve in time: --disable-agents turns it off",
                fmt::join(guards, ", ")));
        }
        return plan;
    }
    plan.outcome = Outcome::planned;
    plan.detail = fmt::format("turned off: {}", fmt::join(all, ", "));
    for (const std::string_view service : all) {
        for (FileEdit& change : edits_to_disable(input.files, service, why)) {
            plan.edits.push_back(std::move(change));
        }
    }
    return plan;
}

} // namespace coldspare::fixup
