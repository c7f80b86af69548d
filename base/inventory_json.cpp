// The JSON of an inventory: everything that is known, within the limits of who reads it.
#include "base/inventory.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace coldspare {

namespace {

using nlohmann::json;

json to_json(const NicFacts& nic) {
    return {{"name", nic.name},
            {"permanent_mac", nic.permanent_mac},
            {"mac", nic.mac},
            {"kind", word(nic.kind)},
            {"driver", nic.driver},
            {"bus_address", nic.bus_address},
            {"master", nic.master},
            {"lower", nic.lower},
            {"vlan_id", nic.vlan_id},
            {"altnames", nic.altnames},
            {"name_assign_type", nic.name_assign_type},
            {"speed", nic.speed},
            {"up", nic.up},
            {"addresses", nic.addresses}};
}

json to_json(const InventoryDisk& disk) {
    return {{"name", disk.name},   {"size", disk.size},
            {"model", disk.model}, {"logical_sector", disk.logical_sector},
            {"wwn", disk.wwn},     {"serial", disk.serial},
            {"by_id", disk.by_id}, {"by_path", disk.by_path}};
}

json to_json(const FileSystemFacts& facts) {
    return {{"device", facts.device},
            {"type", facts.type},
            {"uuid", facts.uuid},
            {"label", facts.label},
            {"partuuid", facts.partuuid}};
}

json to_json(const MappedDevice& device) {
    return {{"name", device.name}, {"uuid", device.uuid}, {"below", device.below}};
}

json to_json(const IscsiSession& session) {
    return {{"target", session.target},
            {"portal", session.portal},
            {"address", session.address},
            {"initiator", session.initiator},
            {"disks", session.disks}};
}

template <typename Row>
json list_of(const std::vector<Row>& rows) {
    json list = json::array();
    for (const Row& row : rows) {
        list.push_back(to_json(row));
    }
    return list;
}

std::string encoded(const Inventory& all) {
    json object{{"version", inventory_version},
                {"created", all.created},
                {"program", all.program},
                {"hostname", all.hostname},
                {"system", all.system},
                {"architecture", all.architecture},
                {"cpus", all.cpus},
                {"cpu_model", all.cpu_model},
                {"memory", all.memory},
                {"kernel", all.kernel},
                {"cmdline", all.cmdline},
                {"modules", all.modules},
                {"firmware", all.firmware},
                {"boot_disk", all.boot_disk},
                {"root_uuid", all.root_uuid},
                {"root_disks", all.root_disks},
                {"nics", list_of(all.nics)},
                {"disks", list_of(all.disks)},
                {"file_systems", list_of(all.file_systems)},
                {"mapped", list_of(all.mapped)},
                {"iscsi_sessions", list_of(all.iscsi_sessions)},
                {"fstab", all.fstab},
                {"crypttab", all.crypttab},
                {"mdstat", all.mdstat},
                {"multipath_bindings", all.multipath_bindings},
                {"initramfs_tool", all.initramfs_tool},
                {"glibc_version", all.glibc_version},
                {"systemd_version", all.systemd_version},
                {"services_enabled", all.services_enabled},
                {"services_active", all.services_active},
                {"selinux", all.selinux},
                {"selinux_configured", all.selinux_configured},
                {"tpm", all.tpm},
                {"tpm_bindings", all.tpm_bindings}};
    if (all.secure_boot) {
        object["secure_boot"] = *all.secure_boot;
    }
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

// A byte that is not UTF-8 becomes the three of U+FFFD.
constexpr std::size_t growth = 3;

/// A text that is cut in the middle says something else: it is left out.
void fit(std::string& text) {
    if (text.size() > longest_inventory_text / growth) {
        text.clear();
    }
}

void fit_file(std::string& text) {
    if (text.size() > longest_inventory_file / growth) {
        text.clear();
    }
}

template <typename Row>
void shorten(std::vector<Row>& list) {
    list.resize(std::min(list.size(), longest_inventory_list));
}

void fit(std::vector<std::string>& texts) {
    std::erase_if(texts, [](const std::string& text) {
        return text.empty() || text.size() > longest_inventory_text / growth;
    });
    shorten(texts);
}

void fit(NicFacts& nic) {
    for (std::string* text : {&nic.driver, &nic.bus_address}) {
        fit(*text);
    }
    for (std::string* name : {&nic.master, &nic.lower}) {
        if (!is_interface_name(*name)) {
            name->clear();
        }
    }
    nic.mac = normal_mac(nic.mac);
    nic.permanent_mac = normal_mac(nic.permanent_mac);
    std::erase_if(nic.altnames, [](const std::string& name) { return !is_interface_name(name); });
    shorten(nic.altnames);
    fit(nic.addresses);
}

void fit(Inventory& all) {
    for (std::string* text :
         {&all.created, &all.program, &all.hostname, &all.system, &all.architecture, &all.cpu_model,
          &all.kernel, &all.cmdline, &all.firmware, &all.boot_disk, &all.root_uuid,
          &all.initramfs_tool, &all.glibc_version, &all.systemd_version, &all.selinux,
          &all.selinux_configured}) {
        fit(*text);
    }
    for (std::string* file : {&all.fstab, &all.crypttab, &all.mdstat, &all.multipath_bindings}) {
        fit_file(*file);
    }
    for (std::vector<std::string>* texts : {&all.modules, &all.root_disks, &all.services_enabled,
                                            &all.services_active, &all.tpm_bindings}) {
        fit(*texts);
    }
    std::erase_if(all.nics, [](const NicFacts& nic) { return !is_interface_name(nic.name); });
    shorten(all.nics);
    shorten(all.disks);
    shorten(all.file_systems);
    shorten(all.mapped);
    shorten(all.iscsi_sessions);
    for (NicFacts& nic : all.nics) {
        fit(nic);
    }
    for (InventoryDisk& disk : all.disks) {
        for (std::string* text : {&disk.name, &disk.model, &disk.serial, &disk.wwn}) {
            fit(*text);
        }
        fit(disk.by_id);
        fit(disk.by_path);
    }
    for (FileSystemFacts& facts : all.file_systems) {
        for (std::string* text :
             {&facts.device, &facts.type, &facts.uuid, &facts.label, &facts.partuuid}) {
            fit(*text);
        }
    }
    for (MappedDevice& device : all.mapped) {
        fit(device.name);
        fit(device.uuid);
        fit(device.below);
    }
    for (IscsiSession& session : all.iscsi_sessions) {
        for (std::string* text :
             {&session.target, &session.portal, &session.address, &session.initiator}) {
            fit(*text);
        }
        fit(session.disks);
    }
}

void drop_virtual(Inventory& all) {
    std::erase_if(all.nics, [](const NicFacts& nic) { return nic.kind == NicKind::other; });
}

void drop_files(Inventory& all) {
    for (std::string* file : {&all.fstab, &all.crypttab, &all.mdstat}) {
        file->clear();
    }
}

void drop_links(Inventory& all) {
    for (InventoryDisk& disk : all.disks) {
        disk.by_path.clear();
        disk.by_id.clear();
    }
}

} // namespace

std::string encode_inventory(Inventory inventory) {
    fit(inventory);
    std::string text = encoded(inventory);
    // A host with thousands of containers or of paths to its disks. What can be missed best first.
    const std::array<void (*)(Inventory&), 12> less{
        [](Inventory& all) { all.services_active.clear(); },
        drop_virtual,
        [](Inventory& all) { all.modules.clear(); },
        drop_links,
        [](Inventory& all) { all.multipath_bindings.clear(); },
        [](Inventory& all) { all.iscsi_sessions.clear(); },
        [](Inventory& all) { all.mapped.clear(); },
        [](Inventory& all) { all.file_systems.clear(); },
        [](Inventory& all) { all.services_enabled.clear(); },
        [](Inventory& all) { all.disks.clear(); },
        drop_files,
        [](Inventory& all) { all.nics.clear(); }};
    for (const auto& drop : less) {
        if (text.size() <= largest_inventory) {
            break;
        }
        drop(inventory);
        text = encoded(inventory);
    }
    return text;
}

} // namespace coldspare
