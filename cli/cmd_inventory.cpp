#include "base/files.hpp"
#include "base/inventory.hpp"
#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/program.hpp"
#include "cli/table.hpp"
#include "clone/gather_inventory.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace coldspare::cli {

namespace {

std::string belongs_to(const NicFacts& nic) {
    if (!nic.master.empty()) {
        return "in " + nic.master;
    }
    return nic.kind == NicKind::vlan ? fmt::format("{} of {}", nic.vlan_id, or_dash(nic.lower))
                                     : "-";
}

void print_nics(Output& output, const Inventory& all) {
    output.line(fmt::format("network interfaces: {}", all.nics.size()));
    std::vector<Row> rows;
    for (const NicFacts& nic : all.nics) {
        rows.push_back({printable(nic.name), std::string(word(nic.kind)),
                        or_dash(nic.permanent_mac.empty() ? nic.mac : nic.permanent_mac),
                        or_dash(nic.driver), or_dash(nic.bus_address), belongs_to(nic),
                        nic.up ? "up" : "down", fmt::format("{}", fmt::join(nic.addresses, " "))});
    }
    print_table(output, rows);
}

void print_disks(Output& output, const Inventory& all) {
    output.line(fmt::format("disks: {}", all.disks.size()));
    std::vector<Row> rows;
    for (const InventoryDisk& disk : all.disks) {
        rows.push_back({disk.name, format_bytes(disk.size), or_dash(disk.model),
                        or_dash(disk.serial), or_dash(disk.wwn)});
    }
    print_table(output, rows);
}

void print_sessions(Output& output, const Inventory& all) {
    if (all.iscsi_sessions.empty()) {
        return;
    }
    output.line(fmt::format("iSCSI sessions: {}", all.iscsi_sessions.size()));
    std::vector<Row> rows;
    for (const IscsiSession& session : all.iscsi_sessions) {
        rows.push_back({session.target, or_dash(session.portal),
                        fmt::format("{}", fmt::join(session.disks, " "))});
    }
    print_table(output, rows);
}

void print(Output& output, const Inventory& all) {
    output.line(fmt::format("{}: {}, kernel {} ({})", or_dash(all.hostname), or_dash(all.system),
                            or_dash(all.kernel), or_dash(all.architecture)));
    output.line(fmt::format(
        "processors: {} ({}), memory: {}", all.cpus == 0 ? "-" : fmt::format("{}", all.cpus),
        or_dash(all.cpu_model), all.memory == 0 ? "-" : format_bytes(all.memory)));
    const std::string_view secure = !all.secure_boot   ? ""
                                    : *all.secure_boot ? ", Secure Boot on"
                                                       : ", Secure Boot off";
    output.line(fmt::format("starts by {}{} from {}, root on {}",
                            all.firmware.empty() ? "an unknown firmware" : all.firmware, secure,
                            all.boot_disk.empty() ? "an unknown disk" : all.boot_disk,
                            all.root_disks.empty()
                                ? "no disk"
                                : fmt::format("{}", fmt::join(all.root_disks, " and "))));
    print_nics(output, all);
    print_disks(output, all);
    print_sessions(output, all);
    output.line(fmt::format("initramfs by {}, systemd {}, glibc {}, SELinux {}",
                            or_dash(all.initramfs_tool), or_dash(all.systemd_version),
                            or_dash(all.glibc_version), or_dash(all.selinux)));
    output.line(fmt::format("services: {} enabled, {} active", all.services_enabled.size(),
                            all.services_active.size()));
    if (!all.tpm_bindings.empty()) {
        output.line(fmt::format("opened by this machine's TPM alone: {}",
                                fmt::join(all.tpm_bindings, " ")));
    }
}

class InventoryCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("--output", file_, "write it to a file, as one line of JSON")
            ->type_name("FILE");
    }

    ExitStatus run(Output& output, std::stop_token) override {
        const std::string text =
            encode_inventory(clone::gather_inventory(clone::this_machine(), program_and_version()));
        nlohmann::json fields{{"inventory", nlohmann::json::parse(text)}};
        if (file_.empty()) {
            print(output, parse_inventory(text));
        } else {
            write_file_atomically(file_, text + "\n");
            output.line(fmt::format("'{}' has the inventory", printable(file_)));
            fields["file"] = file_;
        }
        output.result(ExitStatus::done, fields);
        return ExitStatus::done;
    }

private:
    std::string file_;
};

} // namespace

std::unique_ptr<Command> make_inventory_command() {
    return std::make_unique<InventoryCommand>();
}

} // namespace coldspare::cli
