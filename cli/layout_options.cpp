#include "cli/layout_options.hpp"

#include "base/error.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace coldspare::cli {

namespace {

constexpr std::size_t longest_list = 4096;

/// "1,3" as numbers.
std::vector<unsigned> parse_list(const std::string& text) {
    std::vector<unsigned> numbers;
    std::string digits;
    for (const char c : text + ",") {
        if (c >= '0' && c <= '9' && digits.size() < 6) {
            digits += c;
            continue;
        }
        if (c != ',' || digits.empty() || std::stoul(digits) == 0 || text.size() > longest_list) {
            throw usage_error(fmt::format("--only '{}' is not a list of partitions", text),
                              "write their numbers as in 1,3");
        }
        numbers.push_back(static_cast<unsigned>(std::stoul(digits)));
        digits.clear();
    }
    return numbers;
}

} // namespace

void LayoutOptions::declare(CLI::App& app) {
    app.add_flag("--partitions", partitions_,
                 "copy partition by partition, to a disk of another size");
    app.add_option("--grow", grow_, "with --partitions: this one takes the rest of the target")
        ->type_name("N")
        ->check(CLI::Range(1U, 999999U));
    app.add_option("--only", only_, "with --partitions: copy the content of these alone")
        ->type_name("N,...");
    app.add_flag("--grow-fs", grow_fs_, "with --grow: grow its ext2, ext3, ext4 or XFS as well");
    app.add_flag("--dry-run", dry_run_,
                 "with --partitions: show what would be where, and copy nothing");
}

std::optional<clone::PartitionOptions> LayoutOptions::options() const {
    if (!partitions_) {
        if (grow_ != 0 || !only_.empty() || grow_fs_ || dry_run_) {
            throw usage_error(
                "--grow, --only, --grow-fs and --dry-run go with --partitions",
                "say --partitions, or leave them out: a whole disk is copied as it is");
        }
        return std::nullopt;
    }
    if (grow_fs_ && grow_ == 0) {
        throw usage_error("--grow-fs goes with --grow", "say which partition is to grow: --grow N");
    }
    clone::PartitionOptions options{.grow_file_system = grow_fs_ ? clone::GrowFileSystem::yes
                                                                 : clone::GrowFileSystem::no,
                                    .dry_run = dry_run_ ? clone::DryRun::yes : clone::DryRun::no};
    if (grow_ != 0) {
        options.layout.grow = grow_;
    }
    if (!only_.empty()) {
        options.layout.only = parse_list(only_);
        const std::vector<unsigned>& only = options.layout.only;
        if (grow_fs_ && std::ranges::find(only, grow_) == only.end()) {
            throw usage_error(fmt::format("--grow-fs: partition {} is not copied", grow_),
                              "add it to --only, or leave out --grow-fs");
        }
    }
    return options;
}

nlohmann::json to_json(const clone::Layout& layout) {
    nlohmann::json list = nlohmann::json::array();
    for (const clone::PlannedPartition& each : layout.partitions) {
        list.push_back({{"number", each.source.number},
                        {"type", each.source.type},
                        {"name", each.source.name},
                        {"source_start", each.source.range.offset},
                        {"source_size", each.source.range.length},
                        {"start", each.target.offset},
                        {"size", each.target.length},
                        {"copied", each.copied}});
    }
    return {{"table", clone::word(layout.source.kind)},
            {"sector_size", layout.source.sector},
            {"partitions", list}};
}

} // namespace coldspare::cli
