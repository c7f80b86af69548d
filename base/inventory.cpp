#include "base/inventory.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace coldspare {

namespace {

using nlohmann::json;

// The object, a list, an object in it, a list of that.
constexpr int deepest = 4;

struct KindWord {
    NicKind kind;
    std::string_view word;
};
constexpr std::array<KindWord, 5> kinds{{{NicKind::physical, "physical"},
                                         {NicKind::bond, "bond"},
                                         {NicKind::bridge, "bridge"},
                                         {NicKind::vlan, "vlan"},
                                         {NicKind::other, "other"}}};

Error unreadable(std::string_view reason) {
    return Error(fmt::format("the inventory is not readable: {}", reason),
                 "make another one: coldspare inventory --output FILE");
}

/// A text of several lines; printable() would take the newlines and tabs.
std::string printable_lines(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
        result += printable(text.substr(0, end));
        if (end < text.size()) {
            result += text[end];
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

/// An object, read member by member. A member that is missing is empty.
class Members {
public:
    /// `path` is what stands before the names in messages: "nics[0].".
    Members(const json& object, std::string path) : object_(object), path_(std::move(path)) {
        if (!object_.is_object()) {
            throw unreadable(path_.empty() ? "it is no JSON object"
                                           : fmt::format("'{}' is no object",
                                                         path_.substr(0, path_.size() - 1)));
        }
    }

    [[nodiscard]] std::string text(const char* name) const {
        const json* value = find(name);
        return value == nullptr ? std::string() : printable(checked(*value, name));
    }
    [[nodiscard]] std::string file(const char* name) const {
        const json* value = find(name);
        return value == nullptr ? std::string()
                                : printable_lines(checked(*value, name, longest_inventory_file));
    }
    [[nodiscard]] std::string mac(const char* name) const {
        const std::string value = text(name);
        std::string mac = normal_mac(value);
        if (mac.empty() && !value.empty()) {
            throw wrong(name, "is no MAC address");
        }
        return mac;
    }
    [[nodiscard]] std::string interface_name(const char* name) const {
        std::string value = text(name);
        if (!value.empty() && !is_interface_name(value)) {
            throw wrong(name, "is no name of an interface");
        }
        return value;
    }
    [[nodiscard]] std::vector<std::string> texts(const char* name) const {
        std::vector<std::string> result;
        for (const json& item : list(name)) {
            result.push_back(printable(checked(item, name)));
        }
        return result;
    }
    [[nodiscard]] std::uint64_t number(const char* name, std::uint64_t limit) const {
        const json* value = find(name);
        if (value == nullptr) {
            return 0;
        }
        if (!value->is_number_unsigned() || value->get<std::uint64_t>() > limit) {
            throw wrong(name, fmt::format("is not a number up to {}", limit));
        }
        return value->get<std::uint64_t>();
    }
    [[nodiscard]] unsigned small(const char* name) const {
        return static_cast<unsigned>(number(name, UINT32_MAX));
    }
    [[nodiscard]] std::optional<bool> flag(const char* name) const {
        const json* value = find(name);
        if (value == nullptr) {
            return std::nullopt;
        }
        if (!value->is_boolean()) {
            throw wrong(name, "is neither true nor false");
        }
        return value->get<bool>();
    }
    /// The rows of a list of objects.
    template <typename Row>
    [[nodiscard]] std::vector<Row> rows(const char* name, Row (*read)(const Members&)) const {
        std::vector<Row> result;
        for (const json& item : list(name)) {
            result.push_back(read({item, fmt::format("{}{}[{}].", path_, name, result.size())}));
        }
        return result;
    }
    [[nodiscard]] Error wrong(const char* name, std::string_view what) const {
        return unreadable(fmt::format("'{}{}' {}", path_, name, what));
    }

private:
    [[nodiscard]] const json* find(const char* name) const {
        const auto found = object_.find(name);
        return found == object_.end() || found->is_null() ? nullptr : &*found;
    }
    [[nodiscard]] const json& list(const char* name) const {
        static const json none = json::array();
        const json* value = find(name);
        if (value == nullptr) {
            return none;
        }
        if (!value->is_array() || value->size() > longest_inventory_list) {
            throw wrong(name, fmt::format("is not a list of up to {}", longest_inventory_list));
        }
        return *value;
    }
    [[nodiscard]] const std::string& checked(const json& value, const char* name,
                                             std::size_t limit = longest_inventory_text) const {
        if (!value.is_string() || value.get_ref<const std::string&>().size() > limit) {
            throw wrong(name, fmt::format("is not a text of up to {} bytes", limit));
        }
        return value.get_ref<const std::string&>();
    }

    const json& object_;
    std::string path_;
};

NicFacts read_nic(const Members& nic) {
    const std::string kind = nic.text("kind");
    const auto* const known = std::ranges::find(kinds, kind, &KindWord::word);
    NicFacts facts{.name = nic.interface_name("name"),
                   .permanent_mac = nic.mac("permanent_mac"),
                   .mac = nic.mac("mac"),
                   // A kind of a later version.
                   .kind = known == kinds.end() ? NicKind::other : known->kind,
                   .driver = nic.text("driver"),
                   .bus_address = nic.text("bus_address"),
                   .master = nic.interface_name("master"),
                   .lower = nic.interface_name("lower"),
                   .vlan_id = nic.small("vlan_id"),
                   .altnames = nic.texts("altnames"),
                   .name_assign_type = nic.small("name_assign_type"),
                   .speed = nic.small("speed"),
                   .up = nic.flag("up").value_or(false),
                   .addresses = nic.texts("addresses")};
    if (facts.name.empty()) {
        throw nic.wrong("name", "is missing");
    }
    if (!std::ranges::all_of(facts.altnames, is_interface_name)) {
        throw nic.wrong("altnames", "has what is no name of an interface");
    }
    return facts;
}

InventoryDisk read_disk(const Members& disk) {
    return {.name = disk.text("name"),
            .size = disk.number("size", UINT64_MAX),
            .logical_sector = disk.small("logical_sector"),
            .model = disk.text("model"),
            .serial = disk.text("serial"),
            .wwn = disk.text("wwn"),
            .by_id = disk.texts("by_id"),
            .by_path = disk.texts("by_path")};
}

FileSystemFacts read_file_system(const Members& member) {
    return {.device = member.text("device"),
            .type = member.text("type"),
            .uuid = member.text("uuid"),
            .label = member.text("label"),
            .partuuid = member.text("partuuid")};
}

MappedDevice read_mapped(const Members& member) {
    return {
        .name = member.text("name"), .uuid = member.text("uuid"), .below = member.texts("below")};
}

IscsiSession read_session(const Members& session) {
    return {.target = session.text("target"),
            .portal = session.text("portal"),
            .address = session.text("address"),
            .initiator = session.text("initiator"),
            .disks = session.texts("disks")};
}

Inventory read_inventory(const Members& all) {
    return {.created = all.text("created"),
            .program = all.text("program"),
            .hostname = all.text("hostname"),
            .system = all.text("system"),
            .architecture = all.text("architecture"),
            .cpus = all.small("cpus"),
            .cpu_model = all.text("cpu_model"),
            .memory = all.number("memory", UINT64_MAX),
            .kernel = all.text("kernel"),
            .cmdline = all.text("cmdline"),
            .modules = all.texts("modules"),
            .firmware = all.text("firmware"),
            .secure_boot = all.flag("secure_boot"),
            .boot_disk = all.text("boot_disk"),
            .root_uuid = all.text("root_uuid"),
            .root_disks = all.texts("root_disks"),
            .nics = all.rows("nics", read_nic),
            .disks = all.rows("disks", read_disk),
            .file_systems = all.rows("file_systems", read_file_system),
            .mapped = all.rows("mapped", read_mapped),
            .iscsi_sessions = all.rows("iscsi_sessions", read_session),
            .fstab = all.file("fstab"),
            .crypttab = all.file("crypttab"),
            .mdstat = all.file("mdstat"),
            .multipath_bindings = all.file("multipath_bindings"),
            .initramfs_tool = all.text("initramfs_tool"),
            .glibc_version = all.text("glibc_version"),
            .systemd_version = all.text("systemd_version"),
            .services_enabled = all.texts("services_enabled"),
            .services_active = all.texts("services_active"),
            .selinux = all.text("selinux"),
            .selinux_configured = all.text("selinux_configured"),
            .tpm = all.flag("tpm").value_or(false),
            .tpm_bindings = all.texts("tpm_bindings")};
}

} // namespace

std::string_view word(NicKind kind) {
    return std::ranges::find(kinds, kind, &KindWord::kind)->word;
}

Inventory parse_inventory(std::string_view text) {
    if (text.size() > largest_inventory) {
        throw unreadable(
            fmt::format("it has {} bytes, and {} are the most", text.size(), largest_inventory));
    }
    const auto limit_depth = [](int depth, json::parse_event_t event, json&) {
        const bool opens =
            event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        if (opens && depth >= deepest) {
            throw unreadable("it is nested too deep");
        }
        return true;
    };
    const json object = json::parse(text.begin(), text.end(), limit_depth, false);
    const Members members(object, "");
    if (const std::uint64_t version = members.number("version", UINT32_MAX);
        version != inventory_version) {
        throw members.wrong(
            "version", fmt::format("is {}, and this program knows {}", version, inventory_version));
    }
    return read_inventory(members);
}

namespace {

int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

std::string normal_mac(std::string_view text) {
    constexpr std::size_t longest_address = 20; // InfiniBand
    std::string digits;
    for (char c : trim(text)) {
        c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
        if (hex_value(c) >= 0) {
            digits += c;
        } else if (c != ':' && c != '-' && c != '.') {
            return {};
        }
        if (digits.size() > 2 * longest_address) {
            return {};
        }
    }
    if (digits.size() < 12 || digits.size() % 2 != 0 ||
        digits.find_first_not_of('0') == std::string::npos) {
        return {};
    }
    std::string mac;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        mac += (i == 0 ? "" : ":") + digits.substr(i, 2);
    }
    return mac;
}

bool is_interface_name(std::string_view text) {
    constexpr std::size_t longest_name = 127; // ALTIFNAMSIZ - 1
    const auto plain = [](char c) {
        return (c > ' ' && c < 0x7f) &&
               std::string_view("/:\"'\\`$*?[]{}").find(c) == std::string_view::npos;
    };
    return !text.empty() && text.size() <= longest_name && text != "." && text != ".." &&
           std::ranges::all_of(text, plain);
}

} // namespace coldspare
