#include "fixup/iscsi_nodes.hpp"

#include "base/text.hpp"
#include "fixup/settings.hpp"

#include <algorithm>
#include <array>

namespace coldspare::fixup {

namespace {

constexpr std::array<std::string_view, 2> roots{"/etc/iscsi", "/var/lib/iscsi"};

void add_readable(const FileTree& files, const std::string& directory,
                  std::vector<std::string>& paths) {
    for (std::string& path : files.below(directory)) {
        if (files.text(path) != nullptr) {
            paths.push_back(std::move(path));
        }
    }
}

bool has_word(std::string_view list, std::string_view word) {
    for (std::size_t at = 0; at <= list.size();) {
        const std::size_t end = std::min(list.find(',', at), list.size());
        if (list.substr(at, end - at) == word) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

} // namespace

bool has_open_iscsi(const FileTree& files) {
    return files.exists("/etc/iscsi/iscsid.conf") || files.exists("/etc/iscsid.conf") ||
           files.exists("/etc/iscsi/initiatorname.iscsi") ||
           files.exists("/etc/initiatorname.iscsi") || !iscsi_node_records(files).empty();
}

std::string initiator_name(const FileTree& files) {
    for (const char* path : {"/etc/iscsi/initiatorname.iscsi", "/etc/initiatorname.iscsi"}) {
        if (const std::string* text = files.text(path)) {
            SettingReader reader(*text, '=');
            while (const std::optional<Setting> setting = reader.next()) {
                if (setting->key == "InitiatorName") {
                    return std::string(setting->value);
                }
            }
        }
    }
    return {};
}

std::vector<std::string> iscsi_node_records(const FileTree& files) {
    std::vector<std::string> paths;
    for (const std::string_view root : roots) {
        add_readable(files, std::string(root) + "/nodes", paths);
    }
    return paths;
}

std::vector<std::string> iscsi_bindings(const FileTree& files) {
    std::vector<std::string> paths = iscsi_node_records(files);
    for (const std::string_view root : roots) {
        add_readable(files, std::string(root) + "/ifaces", paths);
    }
    return paths;
}

std::vector<NetworkMount> network_block_mounts(std::string_view fstab) {
    constexpr std::array<std::string_view, 7> file_servers{"nfs",  "nfs4",      "cifs", "smbfs",
                                                           "ceph", "glusterfs", "davfs"};
    constexpr std::string_view blanks = " \t\r";
    std::vector<NetworkMount> mounts;
    std::size_t number = 0;
    for (const std::string_view line : split_lines(fstab)) {
        ++number;
        std::array<std::string_view, 4> fields{};
        std::size_t at = line.find_first_not_of(blanks);
        for (std::string_view& field : fields) {
            const std::size_t begin = std::min(at, line.size());
            const std::size_t end = std::min(line.find_first_of(blanks, begin), line.size());
            field = line.substr(begin, end - begin);
            at = line.find_first_not_of(blanks, end);
        }
        const std::string_view options = fields[3];
        if (fields[0].starts_with('#') || !has_word(options, "_netdev") ||
            has_word(options, "noauto") || has_word(options, "nofail") ||
            std::ranges::find(file_servers, fields[2]) != file_servers.end()) {
            continue;
        }
        mounts.push_back({.path = std::string(fields[1]), .line = number});
    }
    return mounts;
}

} // namespace coldspare::fixup
