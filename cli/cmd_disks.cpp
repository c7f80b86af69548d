#include "base/text.hpp"
#include "cli/command.hpp"
#include "clone/disk_list.hpp"
#include "clone/overwrite.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
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
    for (const clone::Use& use : disk.uses) {
        uses.push_back({{"kind", clone::word_of(use.kind)},
                        {"device", use.device},
                        {"by", use.by},
                        {"what", use.what},
                        {"way_out", use.way_out}});
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
            {"bus", disk.hardware.bus},
            {"removable", disk.hardware.removable},
            {"rotational", disk.hardware.rotational},
            {"map_name", disk.hardware.map_name},
            {"backing", disk.hardware.backing},
            {"table", disk.table},
            {"content", to_json(disk.content)},
            {"partitions", partitions},
            {"uses", uses}};
}

/// The types of GPT partitions that servers have, in words (UEFI 2.10 5.3.3; the UAPI group's
/// discoverable partitions).
std::string_view words_for_type(std::string_view type) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 9> known{
        {{"c12a7328-f81f-11d2-ba4b-00c04fc93ec9", "EFI system"},
         {"21686148-6449-6e6f-744e-656564454649", "BIOS boot"},
         {"0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux"},
         {"4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root"},
         {"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"},
         {"e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM"},
         {"a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"},
         {"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft data"},
         {"e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"}}};
    const auto* found =
        std::ranges::find(known, type, &std::pair<std::string_view, std::string_view>::first);
    return found == known.end() ? type : found->second;
}

/// Pieces one after the other; one that would go past column 80 starts a line of its own.
void print_pieces(Output& output, std::string line, const std::vector<std::string>& pieces,
                  std::string_view indent) {
    constexpr std::size_t width = 80;
    for (const std::string& piece : pieces) {
        if (piece.empty()) {
            continue;
        }
        if (line.size() + 2 + piece.size() > width && line.size() > indent.size()) {
            output.line(line);
            line = std::string(indent) + piece;
        } else {
            line += (line.find_first_not_of(' ') == std::string::npos ? "" : "  ") + piece;
        }
    }
    output.line(line);
}

std::string named(std::string_view name, const std::string& value) {
    return value.empty() ? std::string() : fmt::format("{} '{}'", name, value);
}

std::string uuid_of(const Content& content) {
    return content.uuid.empty() ? std::string() : "UUID " + content.uuid;
}

void print(Output& output, const PartitionEntry& partition) {
    print_pieces(
        output,
        fmt::format("  {:>3}  {:>10}  at {:>10}", partition.number, format_bytes(partition.size),
                    format_bytes(partition.start)),
        {fmt::format("{}{}", words_for_type(partition.type), partition.bootable ? " boot" : ""),
         clone::text_of(partition.content), uuid_of(partition.content)},
        "       ");
}

void print(Output& output, const DiskEntry& disk) {
    const clone::DiskFacts& facts = disk.facts;
    const clone::sysfs::Hardware& hardware = disk.hardware;
    std::string head =
        fmt::format("{}  {} ({} bytes)", facts.name, format_bytes(facts.size), facts.size);
    if (facts.logical_sector != 0) {
        head += fmt::format(", sectors of {}/{}", facts.logical_sector, facts.physical_sector);
    }
    if (!disk.table.empty()) {
        head += fmt::format(", {} table", disk.table);
    }
    output.line(head);
    std::string kind = hardware.bus;
    if (hardware.removable) {
        kind += ", removable";
    }
    if (hardware.rotational) {
        kind += ", rotating";
    }
    if (facts.kind == clone::DiskKind::block) {
        print_pieces(output, "  ",
                     {kind, named("model", facts.model), named("serial", facts.serial),
                      named("WWN", facts.wwn), named("map", hardware.map_name),
                      named("file", hardware.backing)},
                     "  ");
    }
    if (const std::string content = clone::text_of(disk.content); !content.empty()) {
        print_pieces(output, "  " + content, {uuid_of(disk.content)}, "  ");
    }
    for (const PartitionEntry& partition : disk.partitions) {
        print(output, partition);
    }
    for (const clone::Use& use : disk.uses) {
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
