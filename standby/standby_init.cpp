#include "standby/standby_init.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "clone/messages.hpp"
#include "fixup/iscsi_name.hpp"
#include "fixup/services.hpp"
#include "standby/server_storage.hpp"
#include "standby/standby_file.hpp"
#include "standby/standby_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace coldspare::standby {

namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;
constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;
constexpr std::size_t most_remarks = 32; ///< of a kind: a comment is no inventory

/// A text in TOML's quotes. It has no control characters: every rule refuses them.
std::string in_quotes(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        result += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
    return result += '"';
}

std::string list_in_quotes(const std::vector<std::string>& texts) {
    std::vector<std::string> items;
    std::ranges::transform(texts, std::back_inserter(items), in_quotes);
    return fmt::format("[{}]", fmt::join(items, ", "));
}

/// A line that is a comment whatever `text` is.
std::string remark(std::string_view text) {
    constexpr std::size_t longest = 400;
    const std::string safe = printable(text);
    return safe.size() > longest ? "# (too long to stand here)\n" : fmt::format("# {}\n", safe);
}

/// "KEY = "VALUE"" if the rule has nothing against it, else a remark, or nothing for an empty one.
template <typename Rule>
std::string line_of(std::string_view key, const std::string& value, Rule complaint_about) {
    if (value.empty()) {
        return {};
    }
    const std::string complaint = complaint_about(value);
    return complaint.empty()
               ? fmt::format("{} = {}\n", key, in_quotes(value))
               : remark(fmt::format("'{}' was '{}', which {}", key, value, complaint));
}

std::string or_unknown(const std::string& text) {
    return text.empty() ? "not known" : text;
}

/// A device is written over: it has no generations.
bool lies_in_dev(const StandbyTextOptions& options) {
    return (options.image_directory + "/").starts_with("/dev/");
}

std::string head(const Inventory& server, const StandbyTextOptions& options) {
    return remark(fmt::format("The standby '{}'. docs/FORMATS.md 11 says what each value may be.",
                              options.name)) +
           remark(fmt::format("From the inventory of '{}', {}, of {}.", or_unknown(server.hostname),
                              or_unknown(server.system), or_unknown(server.created))) +
           remark("Read it through: what says CHECK was guessed.") +
           fmt::format("format = 1\nkeep = {} # generations of the copy\n\n",
                       lies_in_dev(options) ? 1 : 2);
}

std::string source_section(const Inventory& server, const StandbyTextOptions& options) {
    constexpr std::string_view port = ":10000";
    const std::string host =
        complaint_about_host(server.hostname).empty() &&
                complaint_about_connect(server.hostname + std::string(port)).empty()
            ? server.hostname
            : options.name;
    const std::string connect =
        options.connect.empty() ? host + std::string(port) : options.connect;
    return fmt::format("[source]\n"
                       "host = {}\n"
                       "# CHECK: where 'coldspare send --listen' waits. Or listen = \"10000\", and "
                       "the server connects to us.\n"
                       "connect = {}\n"
                       "# token_file = \"/etc/coldspare/{}.token\" # mode 0600; without it the "
                       "machines must be paired\n\n",
                       in_quotes(host), in_quotes(connect), options.name);
}

/// The kernel has a little less than is built in: rounded up.
std::string memory_text(std::uint64_t bytes) {
    constexpr std::uint64_t otherwise = 2 * gibibyte;
    const std::uint64_t wanted =
        bytes == 0 ? otherwise : std::clamp(bytes, least_memory, most_memory);
    return wanted > 2 * gibibyte
               ? fmt::format("{}GiB", (wanted + gibibyte - 1) / gibibyte)
               : fmt::format("{}MiB", (wanted + 64 * mebibyte - 1) / (64 * mebibyte) * 64);
}

std::string machine_section(const Inventory& server) {
    const bool knows_firmware = server.firmware == "bios" || server.firmware == "uefi";
    return fmt::format(
        "[machine]\n"
        "# uri = \"qemu:///system\" # or qemu+ssh://HOST/system; left out: the embedded driver, "
        "without a daemon\n"
        "{}cpus = {}\n"
        "{}memory = \"{}\"\n"
        "{}\n",
        remark(fmt::format("The server has {} processors ({}).",
                           server.cpus == 0 ? "CHECK: an unknown number of"
                                            : fmt::format("{}", server.cpus),
                           or_unknown(server.cpu_model))),
        server.cpus == 0 ? 2 : std::min(server.cpus, most_cpus),
        remark(server.memory == 0
                   ? "CHECK: how much memory the server has is not known."
                   : fmt::format("The server's kernel has {}.", format_bytes(server.memory))),
        memory_text(server.memory),
        knows_firmware ? fmt::format("firmware = {}\n", in_quotes(server.firmware)) : "");
}

/// How `receive` is told: by the serial number, which is the same on a live system, if no other
/// disk answers to it.
std::string source_of(const Inventory& server, const std::string& name) {
    const auto disk = std::ranges::find(server.disks, name, &InventoryDisk::name);
    if (disk != server.disks.end() && complaint_about_disk_source(disk->serial).empty() &&
        std::ranges::count(server.disks, disk->serial, &InventoryDisk::serial) == 1) {
        return disk->serial;
    }
    constexpr std::string_view dev = "/dev/";
    return name.starts_with(dev) ? name.substr(dev.size()) : name;
}

std::string description_of(const Inventory& server, const std::string& name) {
    const auto disk = std::ranges::find(server.disks, name, &InventoryDisk::name);
    return disk == server.disks.end()
               ? name
               : fmt::format("{}: {}, {}", name, format_bytes(disk->size), or_unknown(disk->model));
}

std::string disk_sections(const Inventory& server, const ServerStorage& storage,
                          const StandbyTextOptions& options) {
    std::string text = remark("What the server's system lies on; the first one is what it starts "
                              "from.");
    const bool known = !storage.system_disks.empty();
    if (!known) {
        text += remark("CHECK: the inventory knows no disk with a system.");
    }
    std::set<std::string> sources;
    const auto add = [&](const std::string& source, const std::string& description) {
        const bool good = complaint_about_disk_source(source).empty() &&
                          sources.size() < clone::most_disks && sources.insert(source).second;
        const std::string number =
            sources.size() > 1 ? fmt::format("-{}", sources.size()) : std::string();
        text += good ? remark(description) +
                           fmt::format("[[disk]]\nsource = {}\nimage = {}\n", in_quotes(source),
                                       in_quotes(fmt::format("{}/{}{}.img", options.image_directory,
                                                             options.name, number)))
                     : remark("CHECK: left out: " + description);
    };
    for (const std::string& name : known ? storage.system_disks : storage.other_disks) {
        add(source_of(server, name), description_of(server, name));
    }
    if (sources.empty()) {
        add("sda", "CHECK: what the server starts from");
    }
    const std::size_t others = known ? std::min(storage.other_disks.size(), most_remarks) : 0;
    for (std::size_t i = 0; i < others; ++i) {
        text += remark("not cloned: " + description_of(server, storage.other_disks[i]));
    }
    return text + "\n";
}

std::string nic_sections(const Inventory& server) {
    std::string text = remark("CHECK: where the cables go. 'user = true' leads nowhere but out: "
                              "write bridge = \"br0\" or network = \"office\".");
    std::set<std::string> names;
    std::set<std::string> macs;
    std::size_t left_out = 0;
    for (const NicFacts& nic : server.nics) {
        if (nic.kind != NicKind::physical) {
            continue;
        }
        const std::string& mac = nic.permanent_mac.empty() ? nic.mac : nic.permanent_mac;
        const std::string what =
            fmt::format("{}: {} at {}, {}", nic.name, or_unknown(nic.driver),
                        or_unknown(nic.bus_address), fmt::join(nic.addresses, " "));
        const bool good = names.size() < most_nics && complaint_about_nic_name(nic.name).empty() &&
                          complaint_about_mac(mac).empty() && !names.contains(nic.name) &&
                          macs.insert(normal_mac(mac)).second;
        if (good) {
            names.insert(nic.name);
            text += remark(what) + fmt::format("[[nic]]\nname = {}\nmac = {}\nuser = true\n",
                                               in_quotes(nic.name), in_quotes(mac));
        } else if (left_out++ < most_remarks) {
            text += remark("CHECK: left out, with the address '" + mac + "': " + what);
        }
    }
    return text + "\n";
}

/// The server's own name with a word behind it, which is within RFC 3720 if that was.
std::string initiator_line(const Inventory& server, const StandbyTextOptions& options) {
    std::string name =
        server.iscsi_sessions.empty() ? std::string() : server.iscsi_sessions.front().initiator;
    if (!name.empty()) {
        name += name.find(':') == std::string::npos ? ":standby" : "-standby";
        if (fixup::complaint_about_iscsi_name(name).empty()) {
            return fmt::format("# CHECK: the storage must let this name in.\n"
                               "initiator_name = {}\n",
                               in_quotes(name));
        }
    }
    return fmt::format("# initiator_name = \"iqn.2026-11.org.example:{}-standby\" # never the "
                       "server's own\n",
                       options.name);
}

std::string fixup_section(const Inventory& server, const StandbyTextOptions& options) {
    const std::vector<std::string> services = services_to_hold(server);
    return fmt::format("[fixup]\n"
                       "# CHECK: services that must not start before the runbook says so.\n"
                       "# hold = {}\n"
                       "{}\n",
                       list_in_quotes(services), initiator_line(server, options));
}

std::string volume_sections(const ServerStorage& storage) {
    std::string text;
    std::set<std::string> paths;
    std::set<std::string> uuids;
    std::size_t left_out = 0;
    for (const VolumeSettings& volume : storage.volumes) {
        const bool has_uuid = complaint_about_uuid(volume.uuid).empty();
        const bool good =
            paths.size() < most_volumes && complaint_about_path(volume.path).empty() &&
            (has_uuid || complaint_about_wwid(volume.wwid).empty()) &&
            !(has_uuid && uuids.contains(volume.uuid)) && paths.insert(volume.path).second;
        if (!good) {
            text += left_out++ < most_remarks
                        ? remark(fmt::format("CHECK: a volume at '{}' that nothing tells from "
                                             "others: UUID '{}', WWID '{}'",
                                             volume.path, volume.uuid, volume.wwid))
                        : "";
            continue;
        }
        uuids.insert(volume.uuid);
        text += fmt::format("[[volume]]\npath = {}\n", in_quotes(volume.path)) +
                line_of("uuid", volume.uuid, complaint_about_uuid) +
                line_of("wwid", volume.wwid, complaint_about_wwid);
        if (complaint_about_target(volume.target).empty() &&
            complaint_about_connect(volume.portal).empty()) {
            text += fmt::format("target = {}\nportal = {}\n", in_quotes(volume.target),
                                in_quotes(volume.portal));
        } else {
            text += remark(fmt::format("CHECK: no iSCSI target is known for it: '{}' at '{}'",
                                       volume.target, volume.portal));
        }
        text += "# sentinel = \".coldspare\" # a file in it that only this volume has\n";
    }
    for (std::size_t i = 0; i < std::min(storage.network_mounts.size(), most_remarks); ++i) {
        text += remark("the copy mounts it by itself: " + storage.network_mounts[i]);
    }
    return text.empty()
               ? text
               : remark("What is not cloned, and taken over from the server.") + text + "\n";
}

void check(const StandbyTextOptions& options) {
    if (!is_standby_name(options.name)) {
        throw usage_error(fmt::format("'{}' is no name of a standby", printable(options.name)),
                          "names have 1 to 64 letters, digits, '-', '_' and '.'");
    }
    const std::string path =
        complaint_about_path(fmt::format("{}/{}-64.img", options.image_directory, options.name));
    if (!path.empty()) {
        throw usage_error(fmt::format("the directory for images is '{}', which {}",
                                      printable(options.image_directory), path));
    }
    const std::string address =
        options.connect.empty() ? std::string() : complaint_about_connect(options.connect);
    if (!address.empty()) {
        throw usage_error(fmt::format("the server's address is '{}', which {}",
                                      printable(options.connect), address));
    }
}

} // namespace

std::vector<std::string> services_to_hold(const Inventory& server) {
    constexpr std::array<std::string_view, 34> known{
        "cyrus-imapd",  "cyrus-imap",
        "cyrus",        "dovecot",
        "courier-imap", "postfix",
        "exim4",        "exim",
        "sendmail",     "slapd",
        "mysql",        "mysqld",
        "mariadb",      "postgresql",
        "apache2",      "httpd",
        "nginx",        "lighttpd",
        "smbd",         "smb",
        "samba",        "nmbd",
        "nfs-server",   "nfs-kernel-server",
        "vsftpd",       "proftpd",
        "saslauthd",    "cron",
        "crond",        "fetchmail",
        "mailman",      "spamassassin",
        "dirsrv@",      "univention-directory-listener"};
    constexpr std::string_view suffix = ".service";
    std::vector<std::string> services;
    for (std::string name : server.services_enabled) {
        if (name.ends_with(suffix)) {
            name.resize(name.size() - suffix.size());
        }
        const bool wanted = std::ranges::any_of(known, [&name](std::string_view word) {
            return word.ends_with('@') ? name.starts_with(word) : name == word;
        });
        if (wanted && fixup::complaint_about_service(name).empty() &&
            services.size() < most_names && std::ranges::find(services, name) == services.end()) {
            services.push_back(name);
        }
    }
    return services;
}

std::string standby_text(const Inventory& server, const StandbyTextOptions& options) {
    check(options);
    const ServerStorage storage = storage_of(server);
    return head(server, options) + source_section(server, options) + machine_section(server) +
           disk_sections(server, storage, options) + nic_sections(server) +
           fixup_section(server, options) + volume_sections(storage) +
           "[drill]\n# boot_timeout = \"10m\"\n# quarantine = [\"cron\"] # must not run in a "
           "drill\n"
           "# closed_ports = [\"143\", \"25\"] # nobody may listen there until it is released\n\n"
           "[limits]\n# max_age = \"35d\" # of the copy, before 'coldspare status' turns amber\n"
           "# max_undrilled = \"120d\"\n";
}

} // namespace coldspare::standby
