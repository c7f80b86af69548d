#include "standby/standby_file.hpp"

#include "base/config.hpp"
#include "base/error.hpp"
#include "base/inventory.hpp"
#include "base/nearest_word.hpp"
#include "clone/address.hpp"
#include "clone/messages.hpp"
#include "fixup/fixes.hpp"
#include "fixup/iscsi_name.hpp"
#include "fixup/services.hpp"
#include "standby/standby_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

// Each section has a reader. What cannot be is complained of and comes out empty; the other readers
// go on, and ConfigFile::finish() throws all complaints together.

namespace coldspare::standby {

namespace fs = std::filesystem;

namespace {

constexpr unsigned format_number = 1;
constexpr unsigned most_generations = 1000;
constexpr std::size_t most_disks_on_ide = 4;
constexpr std::string_view suffix = ".toml";
constexpr std::string_view iscsi_port = ":3260"; // RFC 7143 4.2.7.3
constexpr std::uint64_t day = 86400;

using Rule = std::string (*)(std::string_view);

/// A text that a rule has nothing against, or an empty one.
std::string ruled(ConfigTable& table, std::string_view key, Rule complaint_about,
                  Need need = Need::optional) {
    std::optional<std::string> text = table.text(key, need);
    const std::string complaint = text ? complaint_about(*text) : std::string();
    if (!complaint.empty()) {
        table.complain(key, fmt::format("is '{}', which {}", *text, complaint));
        return {};
    }
    return text ? *std::move(text) : std::string();
}

std::vector<std::string> ruled_list(ConfigTable& table, std::string_view key,
                                    Rule complaint_about) {
    std::vector<std::string> good;
    std::set<std::string> seen;
    const std::vector<std::string> texts = table.texts(key);
    if (texts.size() > most_names) {
        table.complain(
            key, fmt::format("has {} entries, and {} are the most", texts.size(), most_names));
        return good;
    }
    for (const std::string& text : texts) {
        if (const std::string complaint = complaint_about(text); !complaint.empty()) {
            table.complain(key, fmt::format("has '{}', which {}", text, complaint));
        } else if (!seen.insert(text).second) {
            table.complain(key, fmt::format("has '{}' twice", text));
        } else {
            good.push_back(text);
        }
    }
    return good;
}

/// What no two tables may share. Empty values are not looked at.
class Unique {
public:
    void add(const ConfigTable& table, std::string_view key, const std::string& value) {
        if (value.empty()) {
            return;
        }
        const auto [place, is_new] = lines_.emplace(value, table.line_of(key));
        if (!is_new) {
            table.complain(key,
                           fmt::format("is '{}', and so it is in line {}", value, place->second));
        }
    }

private:
    std::map<std::string, unsigned> lines_;
};

std::string shown_duration(std::uint64_t seconds) {
    constexpr std::array<std::pair<std::uint64_t, char>, 3> units{
        {{day, 'd'}, {3600, 'h'}, {60, 'm'}}};
    for (const auto& [factor, unit] : units) {
        if (seconds != 0 && seconds % factor == 0) {
            return fmt::format("{}{}", seconds / factor, unit);
        }
    }
    return fmt::format("{}s", seconds);
}

std::uint64_t duration(ConfigTable& table, std::string_view key, std::uint64_t least,
                       std::uint64_t most, std::uint64_t otherwise) {
    const std::optional<std::uint64_t> seconds = table.duration(key);
    if (seconds && (*seconds < least || *seconds > most)) {
        table.complain(key,
                       fmt::format("is {}, and must be from {} to {}", shown_duration(*seconds),
                                   shown_duration(least), shown_duration(most)));
    }
    return seconds.value_or(otherwise);
}

/// The tables of [[key]], as many as there may be.
std::vector<ConfigTable> limited_tables(ConfigTable& root, std::string_view key, std::size_t most) {
    std::vector<ConfigTable> tables = root.tables(key);
    if (tables.size() > most) {
        root.complain(
            key, fmt::format("stands here {} times, and {} are the most", tables.size(), most));
    }
    return tables;
}

SourceSettings read_source(ConfigTable table, const std::string& standby) {
    SourceSettings source{.host = ruled(table, "host", complaint_about_host),
                          .connect = ruled(table, "connect", complaint_about_connect),
                          .listen = ruled(table, "listen", complaint_about_listen),
                          .token_file = ruled(table, "token_file", complaint_about_path),
                          .used_only = table.flag("used_only").value_or(false)};
    if (table.has("connect") && table.has("listen")) {
        table.complain("listen", "stands here beside 'connect': one of the two sides listens");
    } else if (table.is_there() && !table.has("connect") && !table.has("listen")) {
        table.complain("connect", "is missing; write 'listen' if the server connects to us");
    }
    if (source.host.empty()) {
        source.host = source.connect.empty()
                          ? standby
                          : clone::parse_address(source.connect, clone::AddressUse::connect).host;
    }
    return source;
}

std::vector<DiskSettings> read_disks(ConfigTable& root) {
    std::vector<DiskSettings> disks;
    Unique sources;
    Unique images;
    for (ConfigTable& table : limited_tables(root, "disk", clone::most_disks)) {
        disks.push_back(
            {.source = ruled(table, "source", complaint_about_disk_source, Need::required),
             .image = ruled(table, "image", complaint_about_path, Need::required)});
        sources.add(table, "source", disks.back().source);
        images.add(table, "image", disks.back().image);
    }
    return disks;
}

/// Where a card's cable goes: exactly one of four keys.
void read_way(ConfigTable& table, NicSettings& nic) {
    const std::string network = ruled(table, "network", complaint_about_libvirt_name);
    const std::string bridge = ruled(table, "bridge", complaint_about_nic_name);
    struct Way {
        std::string_view key;
        NicWay way;
    };
    constexpr std::array<Way, 4> ways{{{"network", NicWay::network},
                                       {"bridge", NicWay::bridge},
                                       {"user", NicWay::user},
                                       {"none", NicWay::none}}};
    std::string_view first;
    for (const auto& [key, way] : ways) {
        if ((way == NicWay::user || way == NicWay::none) && table.flag(key) == false) {
            table.complain(key, "is false; leave it out");
        }
        if (!table.has(key)) {
            continue;
        }
        if (!first.empty()) {
            table.complain(key,
                           fmt::format("stands here beside '{}': a card has one cable", first));
            continue;
        }
        first = key;
        nic.way = way;
        nic.network = way == NicWay::network ? network : way == NicWay::bridge ? bridge : "";
    }
    if (first.empty()) {
        table.complain("network", "is missing; or write 'bridge', 'user = true' or 'none = true'");
    }
}

std::vector<NicSettings> read_nics(ConfigTable& root) {
    std::vector<NicSettings> nics;
    Unique names;
    Unique macs;
    for (ConfigTable& table : limited_tables(root, "nic", most_nics)) {
        NicSettings nic{.name = ruled(table, "name", complaint_about_nic_name, Need::required),
                        .mac = normal_mac(ruled(table, "mac", complaint_about_mac, Need::required)),
                        .model =
                            table.word("model", {"virtio", "e1000", "e1000e", "rtl8139", "pcnet"})
                                .value_or("")};
        read_way(table, nic);
        names.add(table, "name", nic.name);
        macs.add(table, "mac", nic.mac);
        nics.push_back(std::move(nic));
    }
    return nics;
}

Acceleration acceleration(const std::string& word) {
    return word == "kvm"   ? Acceleration::kvm
           : word == "tcg" ? Acceleration::tcg
                           : Acceleration::automatic;
}

MachineSettings read_machine(ConfigTable& root, const std::string& standby) {
    ConfigTable table = root.table("machine");
    MachineSettings machine{
        .uri = ruled(table, "uri", complaint_about_uri),
        .domain = ruled(table, "domain", complaint_about_libvirt_name),
        .cpus =
            static_cast<unsigned>(table.number("cpus", 1, most_cpus, Need::required).value_or(0)),
        .memory = table.size("memory", least_memory, most_memory, Need::required).value_or(0),
        .firmware = table.word("firmware", {"bios", "uefi"}).value_or(""),
        .disk_bus = table.word("disk_bus", {"virtio", "scsi", "sata", "ide"}).value_or(""),
        .acceleration =
            acceleration(table.word("acceleration", {"auto", "kvm", "tcg"}).value_or("auto")),
        .lease = table.flag("lease").value_or(false),
        .disks = read_disks(root),
        .nics = read_nics(root)};
    if (machine.domain.empty()) {
        machine.domain = standby + "-standby";
    }
    if (machine.disk_bus == "ide" && machine.disks.size() > most_disks_on_ide) {
        table.complain("disk_bus", fmt::format("is 'ide', which takes {} disks, and there are {}",
                                               most_disks_on_ide, machine.disks.size()));
    }
    return machine;
}

std::string complaint_about_fix(std::string_view id) {
    std::vector<std::string_view> ids;
    for (const fixup::Fix& fix : fixup::fixes()) {
        ids.push_back(fix.id);
    }
    if (std::ranges::find(ids, id) != ids.end()) {
        return {};
    }
    const std::string_view near = nearest_word(id, ids);
    return near.empty() ? fmt::format("is no fix; there are: {}", fmt::join(ids, ", "))
                        : fmt::format("is no fix; did you mean '{}'?", near);
}

FixupSettings read_fixup(ConfigTable table) {
    return {.holds = ruled_list(table, "hold", fixup::complaint_about_service),
            .initiator_name = ruled(table, "initiator_name", fixup::complaint_about_iscsi_name),
            .disable_agents = table.flag("disable_agents").value_or(false),
            .skip = ruled_list(table, "skip", complaint_about_fix),
            .key_files = ruled_list(table, "key_files", complaint_about_path)};
}

/// Where the volumes of a system that is cloned cannot be.
std::string complaint_about_mount_point(std::string_view text) {
    return text == "/" ? "is the system itself, and that is cloned" : complaint_about_path(text);
}

std::string with_iscsi_port(std::string_view text) {
    std::string longer = std::string(text).append(iscsi_port);
    return complaint_about_connect(longer).empty() ? longer : std::string(text);
}

std::string complaint_about_portal(std::string_view text) {
    return complaint_about_connect(with_iscsi_port(text));
}

std::vector<VolumeSettings> read_volumes(ConfigTable& root) {
    std::vector<VolumeSettings> volumes;
    Unique paths;
    Unique uuids;
    for (ConfigTable& table : limited_tables(root, "volume", most_volumes)) {
        VolumeSettings volume{
            .path = ruled(table, "path", complaint_about_mount_point, Need::required),
            .uuid = ruled(table, "uuid", complaint_about_uuid),
            .wwid = ruled(table, "wwid", complaint_about_wwid),
            .target = ruled(table, "target", complaint_about_target),
            .portal = with_iscsi_port(ruled(table, "portal", complaint_about_portal)),
            .sentinel = ruled(table, "sentinel", complaint_about_inner_path)};
        if (!table.has("uuid") && !table.has("wwid")) {
            table.complain("uuid", "is missing, or 'wwid': nothing else tells this volume from "
                                   "others");
        }
        if (table.has("target") != table.has("portal")) {
            table.complain(table.has("target") ? "portal" : "target",
                           "is missing: iSCSI needs both");
        }
        paths.add(table, "path", volume.path);
        uuids.add(table, "uuid", volume.uuid);
        volumes.push_back(std::move(volume));
    }
    return volumes;
}

DrillSettings read_drill(ConfigTable table) {
    DrillSettings drill;
    drill.boot_timeout = duration(table, "boot_timeout", 10, day, drill.boot_timeout);
    drill.quarantine = ruled_list(table, "quarantine", fixup::complaint_about_service);
    drill.closed_ports = ruled_list(table, "closed_ports", complaint_about_port);
    return drill;
}

LimitSettings read_limits(ConfigTable table) {
    constexpr std::uint64_t least = 3600;
    constexpr std::uint64_t most = 3650 * day;
    LimitSettings limits;
    limits.max_age = duration(table, "max_age", least, most, limits.max_age);
    limits.max_undrilled = duration(table, "max_undrilled", least, most, limits.max_undrilled);
    return limits;
}

bool is_device(const DiskSettings& disk) {
    return disk.image.starts_with("/dev/");
}

/// A device is written over: it has no generations.
unsigned read_keep(ConfigTable& root, const std::vector<DiskSettings>& disks, unsigned otherwise) {
    const std::optional<std::uint64_t> keep = root.number("keep", 1, most_generations);
    const auto device = std::ranges::find_if(disks, is_device);
    if (device == disks.end()) {
        return static_cast<unsigned>(keep.value_or(otherwise));
    }
    if (keep && *keep > 1) {
        root.complain("keep", fmt::format("is {}, and the device '{}' has room for one generation",
                                          *keep, device->image));
    }
    return 1;
}

/// Of another format nothing else can be judged.
void check_format(ConfigTable& root, const fs::path& path) {
    const std::optional<std::uint64_t> format =
        root.number("format", 0, UINT64_MAX, Need::required);
    if (format && *format != format_number) {
        throw usage_error(fmt::format("{}:{}: 'format' is {}, and this program knows {}",
                                      path.string(), root.line_of("format"), *format,
                                      format_number));
    }
}

std::string name_of(const fs::path& path, ConfigFile& file) {
    const std::string last = path.filename().string();
    std::string name = last.ends_with(suffix) ? last.substr(0, last.size() - suffix.size()) : last;
    if (!last.ends_with(suffix) || !is_standby_name(name)) {
        file.complain(0, "the file is not called NAME.toml with a name of 1 to 64 letters, digits, "
                         "'-', '_' and '.'");
    }
    return name;
}

} // namespace

StandbyFile parse_standby_file(const fs::path& path, std::string_view text) {
    ConfigFile file(path.string(), text);
    ConfigTable root = file.root();
    check_format(root, path);
    for (const std::string_view section : {"source", "machine"}) {
        if (!root.has(section)) {
            file.complain(0, fmt::format("there is no [{}]", section));
        }
    }
    StandbyFile standby;
    standby.name = name_of(path, file);
    standby.source = read_source(root.table("source"), standby.name);
    standby.machine = read_machine(root, standby.name);
    if (standby.machine.disks.empty()) {
        file.complain(0, "there is no [[disk]]");
    }
    standby.fixup = read_fixup(root.table("fixup"));
    standby.volumes = read_volumes(root);
    standby.drill = read_drill(root.table("drill"));
    standby.limits = read_limits(root.table("limits"));
    standby.keep = read_keep(root, standby.machine.disks, standby.keep);
    file.finish();
    return standby;
}

} // namespace coldspare::standby
