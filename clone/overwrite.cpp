#include "clone/overwrite.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coldspare::clone {

std::string_view member_of(const Content& content) {
    struct Member {
        std::string_view type; ///< of libblkid
        std::string_view of;
    };
    constexpr std::array<Member, 9> members{{{"LVM2_member", "physical volume of LVM"},
                                             {"LVM1_member", "physical volume of LVM"},
                                             {"linux_raid_member", "member of an md array"},
                                             {"mpath_member", "path of a multipath device"},
                                             {"bcache", "part of a bcache device"},
                                             {"zfs_member", "part of a ZFS pool"},
                                             {"drbd", "replicated by DRBD"},
                                             {"crypto_LUKS", "encrypted"},
                                             {"VMFS_volume_member", "part of a VMFS volume"}}};
    for (const Member& member : members) {
        if (content.type == member.type) {
            return member.of;
        }
    }
    return content.type.ends_with("_raid_member") ? "member of a firmware RAID" : "";
}

std::string text_of(const Content& content) {
    if (content.several) {
        return "signatures of more than one kind";
    }
    std::string text = content.type;
    if (!content.label.empty()) {
        text += fmt::format(" '{}'", content.label);
    }
    if (const std::string_view of = member_of(content); !of.empty()) {
        text += fmt::format(" ({})", of);
    }
    return text;
}

std::string summary_of(const DiskEntry& disk) {
    constexpr std::size_t enough = 6;
    std::string text = format_bytes(disk.facts.size);
    if (!disk.facts.model.empty()) {
        text += ", " + disk.facts.model;
    }
    if (!disk.facts.serial.empty()) {
        text += ", serial " + disk.facts.serial;
    }
    if (disk.table.empty()) {
        const std::string content = text_of(disk.content);
        return content.empty() ? text : text + "; " + content;
    }
    text += fmt::format("; {} table", disk.table);
    std::size_t shown = 0;
    for (const PartitionEntry& partition : disk.partitions) {
        if (partition.extended) {
            continue;
        }
        const std::string content = text_of(partition.content);
        text += shown == 0 ? ": " : ", ";
        if (shown++ == enough) {
            return text + "...";
        }
        text += content.empty() ? "unknown" : content;
    }
    return text;
}

OverwriteQuestion question_about(const DiskEntry& disk) {
    constexpr std::size_t enough = 16;
    const DiskFacts& facts = disk.facts;
    OverwriteQuestion question;
    const auto line = [&question](std::string_view name, const std::string& value) {
        if (!value.empty()) {
            question.lines.push_back(fmt::format("{:<7}{}", name, value));
        }
    };
    line("size", fmt::format("{} ({} bytes)", format_bytes(facts.size), facts.size));
    line("model", facts.model);
    line("serial", facts.serial);
    line("WWN", facts.wwn);
    line("holds", disk.table.empty() ? text_of(disk.content) : disk.table + " table");
    std::size_t shown = 0;
    for (const PartitionEntry& partition : disk.partitions) {
        if (partition.extended) {
            continue;
        }
        if (shown++ == enough) {
            question.lines.emplace_back("       and more");
            break;
        }
        const std::string content = text_of(partition.content);
        question.lines.push_back(fmt::format("  {:>3}  {:>10}  {}", partition.number,
                                             format_bytes(partition.size),
                                             content.empty() ? "unknown" : content));
    }
    if (facts.kind == DiskKind::file) {
        question.noun = "file name";
        question.answer = std::filesystem::path(facts.name).filename().string();
        return question;
    }
    question.noun = !facts.serial.empty() ? "serial number" : !facts.wwn.empty() ? "WWN" : "path";
    question.answer = !facts.serial.empty() ? facts.serial
                      : !facts.wwn.empty()  ? facts.wwn
                                            : facts.name;
    if (disk.hardware.partition != 0 && question.noun != "path") {
        const std::string part = fmt::format("-part{}", disk.hardware.partition);
        question.noun += fmt::format(", with '{}' behind it", part);
        question.answer += part;
    }
    return question;
}

bool is_answer(const OverwriteQuestion& question, std::string_view typed) {
    return !question.answer.empty() && trim(typed) == trim(question.answer);
}

} // namespace coldspare::clone
