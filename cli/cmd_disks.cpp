#include "base/text.hpp"
#include "cli/command.hpp"
#include "clone/disk_list.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace coldspare::cli {

namespace {

using clone::Content;
using clone::DiskEntry;
using clone::PartitionEntry;
using nlohmann::json;

json to_json(const Content& content) {
    if (content.type.empty()) {
        return nullptr;
    }
    return {{"type", content.type}, {"label", content.label}, {"uuid", content.uuid}};
}

json to_json(const PartitionEntry& partition) {
    return {{"number", partition.number},     {"start", partition.start},
            {"size", partition.size},         {"type", partition.type},
            {"name", partition.name},         {"uuid", partition.uuid},
            {"bootable", partition.bootable}, {"content", to_json(partition.content)}};
}

std::string_view kind_name(clone::DiskKind kind) {
    switch (kind) {
    case clone::DiskKind::block:
        return "block";
    case clone::DiskKind::nbd:
        return "nbd";
    case clone::DiskKind::file:
        break;
    }
    return "file";
}

json to_json(const DiskEntry& disk) {
    json partitions = json::array();
    for (const PartitionEntry& partition : disk.partitions) {
        partitions.push_back(to_json(partition));
    }
    json uses = json::array();
    for (const clone::sysfs::Use& use : disk.uses) {
        uses.push_back(use.what);
    }
    const clone::DiskFacts& facts = disk.facts;
    return {{"name", facts.name},
            {"kind", kind_name(facts.kind)},
            {"size", facts.size},
            {"logical_sector", facts.logical_sector},
            {"physical_sector", facts.physical_sector},
            {"model", facts.model},
            {"serial", facts.serial},
            {"wwn", facts.wwn},
            {"table", disk.table},
            {"content", to_json(disk.content)},
            {"partitions", partitions},
            {"uses", uses}};
}

std::string describe(const Content& content) {
    std::string line = content.type;
    if (!content.label.empty()) {
        line += fmt::format(" '{}'", content.label);
    }
    if (!content.uuid.empty()) {
        line += fmt::format("  UUID {}", content.uuid);
    }
    return line;
}

void print(Output& output, const DiskEntry& disk) {
    const clone::DiskFacts& facts = disk.facts;
    std::string head =
        fmt::format("{}  {} ({} bytes)", facts.name, format_bytes(facts.size), facts.size);
    if (facts.logical_sector != 0) {
        head += fmt::format(", sectors of {}/{}", facts.logical_sector, facts.physical_sector);
    }
    if (!disk.table.empty()) {
        head += fmt::format(", {} table", disk.table);
    }
    output.line(head);
    if (!facts.model.empty() || !facts.serial.empty() || !facts.wwn.empty()) {
        output.line(fmt::format("  model '{}'  serial '{}'  WWN '{}'", facts.model, facts.serial,
                                facts.wwn));
    }
    if (!disk.content.type.empty()) {
        output.line(fmt::format("  {}", describe(disk.content)));
    }
    for (const PartitionEntry& partition : disk.partitions) {
        output.line(fmt::format("  {:>3}  {:>10}  at {:>10}  {}{}  {}", partition.number,
                                format_bytes(partition.size), format_bytes(partition.start),
                                partition.type, partition.bootable ? " boot" : "",
                                describe(partition.content)));
    }
    for (const clone::sysfs::Use& use : disk.uses) {
        output.line(fmt::format("  in use: {}", use.what));
    }
}

class DisksCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("disk", disks_,
                       "devices, image files or NBD URIs to look at; all disks if none")
            ->type_name("DISK");
    }

    ExitStatus run(Output& output, std::stop_token) override {
        std::vector<DiskEntry> entries;
        if (disks_.empty()) {
            entries = clone::list_disks();
        }
        for (const std::string& path : disks_) {
            entries.push_back(clone::inspect_disk(path));
        }
        json list = json::array();
        for (const DiskEntry& entry : entries) {
            list.push_back(to_json(entry));
            print(output, entry);
        }
        output.result(ExitStatus::done, {{"disks", list}});
        return ExitStatus::done;
    }

private:
    std::vector<std::string> disks_;
};

} // namespace

std::unique_ptr<Command> make_disks_command() {
    return std::make_unique<DisksCommand>();
}

} // namespace coldspare::cli
