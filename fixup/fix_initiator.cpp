// The standby must not be the same iSCSI initiator as its server, nor log in to the server's
// volumes by itself: the old server may still write to them, and the target would not object.
//
//   initiator name   replaced in initiatorname.iscsi, and where an interface is bound to the old
//   one node.startup     manual in every node record and in iscsid.conf, whenever there are
//   records:
//                    the runbook logs in, after it has proved that the server is off
#include "base/text.hpp"
#include "fixup/fixes.hpp"
#include "fixup/iscsi_name.hpp"
#include "fixup/iscsi_nodes.hpp"
#include "fixup/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

namespace coldspare::fixup {

namespace {

constexpr std::string_view usual_name_file = "/etc/iscsi/initiatorname.iscsi";
constexpr std::array<std::string_view, 2> name_files{usual_name_file, "/etc/initiatorname.iscsi"};
constexpr std::array<std::string_view, 2> daemon_files{"/etc/iscsi/iscsid.conf",
                                                       "/etc/iscsid.conf"};

bool is_startup(std::string_view key) {
    return key == "node.startup" || (key.starts_with("node.conn[") && key.ends_with("].startup"));
}

/// With open-iscsi's own switch for it, its initramfs carries these files.
Reach reach_of(const FileTree& files) {
    return files.exists("/etc/iscsi/iscsi.initramfs") ? Reach::initramfs : Reach::system;
}

void add_edit(const PlanInput& input, const std::string& path, std::string after, std::string why,
              FixPlan& plan) {
    const std::string* before = input.files.text(path);
    if (before != nullptr && *before == after) {
        return;
    }
    plan.edits.push_back({.path = path,
                          .before = before == nullptr ? std::nullopt : std::optional(*before),
                          .after = std::move(after),
                          .why = std::move(why),
                          .mode = 0600,
                          .reach = reach_of(input.files)});
}

/// The text of initiatorname.iscsi with this name. "GenerateName=yes" stands for a name that is
/// made at the first start, and would replace this one.
std::string named(std::string_view text, const std::string& name) {
    bool there = false;
    std::string result =
        with_settings(text, '=', [&](const Setting& setting) -> std::optional<std::string> {
            if (setting.key == "InitiatorName") {
                there = true;
                return name;
            }
            return setting.key == "GenerateName" ? std::optional<std::string>("no") : std::nullopt;
        });
    return there ? result : with_line(result, "InitiatorName=" + name);
}

void plan_name(const PlanInput& input, FixPlan& plan) {
    const std::string& name = input.wishes.initiator_name;
    const std::string old_name = initiator_name(input.files);
    bool there = false;
    for (const std::string_view path : name_files) {
        if (const std::string* text = input.files.text(path)) {
            there = true;
            add_edit(input, std::string(path), named(*text, name),
                     "the standby is an initiator of its own", plan);
        }
    }
    if (!there) {
        add_edit(input, std::string(usual_name_file), named("", name),
                 "the standby is an initiator of its own", plan);
    }
    for (const std::string& path : iscsi_bindings(input.files)) {
        const auto bound = [&](const Setting& setting) -> std::optional<std::string> {
            if (setting.key != "iface.initiatorname" || setting.value == name ||
                setting.value.empty() || setting.value == "<empty>") {
                return std::nullopt;
            }
            if (setting.value == old_name) {
                return name;
            }
            plan.warnings.push_back(fmt::format("{}:{} logs in as {}, which is the server's too",
                                                path, setting.line, printable(setting.value)));
            return std::nullopt;
        };
        // What is planned here is kept by plan_startup(), which goes over the same files.
        add_edit(input, path, with_settings(*input.files.text(path), '=', bound),
                 "it is bound to the server's name", plan);
    }
}

/// Sets node.startup in what stands in the file, or in what the edit of it will make of it.
void make_manual(const PlanInput& input, const std::string& path, FixPlan& plan) {
    const auto edit = std::ranges::find(plan.edits, path, &FileEdit::path);
    const std::string& text =
        edit == plan.edits.end() ? *input.files.text(path) : std::as_const(edit->after);
    std::string after =
        with_settings(text, '=', [&](const Setting& setting) -> std::optional<std::string> {
            if (!is_startup(setting.key)) {
                return std::nullopt;
            }
            if (setting.value == "onboot") {
                plan.warnings.push_back(
                    fmt::format("{}:{} is logged in to by the initramfs (onboot): a system that "
                                "starts from iSCSI cannot be kept away from its volume",
                                path, setting.line));
            }
            return setting.value == "automatic" ? std::optional<std::string>("manual")
                                                : std::nullopt;
        });
    if (edit != plan.edits.end()) {
        edit->after = std::move(after);
    } else {
        add_edit(input, path, std::move(after), "no volume is logged in to at boot", plan);
    }
}

std::size_t plan_startup(const PlanInput& input, FixPlan& plan) {
    const std::vector<std::string> records = iscsi_node_records(input.files);
    for (const std::string& path : records) {
        make_manual(input, path, plan);
    }
    for (const std::string_view path : daemon_files) {
        if (!records.empty() && input.files.text(path) != nullptr) {
            make_manual(input, std::string(path), plan);
        }
    }
    return records.size();
}

/// Entries of fstab that the boot would wait for.
void warn_of_mounts(const FileTree& files, FixPlan& plan) {
    const std::string* fstab = files.text("/etc/fstab");
    if (fstab == nullptr) {
        return;
    }
    for (const NetworkMount& mount : network_block_mounts(*fstab)) {
        plan.warnings.push_back(
            fmt::format("/etc/fstab:{}: {} is on a volume that nothing logs in to at boot: the "
                        "boot may wait for "
                        "it (systemd: 90 seconds) and goes on without; the runbook mounts it",
                        mount.line, printable(mount.path)));
    }
}

std::string detail_of(const PlanInput& input, std::size_t records, bool changes) {
    std::vector<std::string> parts;
    if (!input.wishes.initiator_name.empty()) {
        parts.push_back(fmt::format("the standby is {}", input.wishes.initiator_name));
    }
    if (records > 0) {
        parts.push_back(
            fmt::format("{} node record{} with manual startup", records, records == 1 ? "" : "s"));
    }
    return fmt::format("{}{}", fmt::join(parts, ", "), changes ? "" : " already");
}

} // namespace

FixPlan plan_initiator(const PlanInput& input) {
    const std::string& name = input.wishes.initiator_name;
    FixPlan plan;
    if (const std::string complaint = complaint_about_iscsi_name(name);
        !name.empty() && !complaint.empty()) {
        plan.outcome = Outcome::cannot;
        plan.detail = fmt::format("the initiator name '{}' {}", printable(name), complaint);
        plan.hint = "a name is like iqn.2026-11.lan.example:mail01-standby";
        return plan;
    }
    if (!has_open_iscsi(input.files)) {
        plan.detail = "there is no iSCSI initiator";
        if (!name.empty()) {
            plan.warnings.push_back(
                fmt::format("the initiator name {} was asked for, and nothing would use it", name));
        }
        return plan;
    }
    if (!name.empty()) {
        plan_name(input, plan);
    }
    const std::size_t records = plan_startup(input, plan);
    if (records > 0) {
        warn_of_mounts(input.files, plan);
    }
    if (records == 0 && name.empty()) {
        plan.detail = "no iSCSI volume is known to the system";
        return plan;
    }
    plan.outcome = plan.edits.empty() ? Outcome::not_needed : Outcome::planned;
    plan.detail = detail_of(input, records, !plan.edits.empty());
    if (name.empty()) {
        plan.warnings.push_back("the standby has the server's own iSCSI name, so that a target "
                                "cannot tell them apart: give it another with --initiator-name");
    }
    return plan;
}

} // namespace coldspare::fixup
